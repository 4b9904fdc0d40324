"""Which containers a selector means, in the order in which a roll-out would take them."""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

from sqlmodel import Session, col, select

from models.fleet import Container, ContainerState
from models.rollouts import Selector, Traits, Waves
from models.spans import ten_thousandths
from producers.refusals import BadOrder


def chosen(session: Session, selector: Selector) -> list[Container]:
    """The containers that fit, spread over their nodes: neighbours in the list live apart. Whole ones only, by the books."""
    query = select(Container).where(Container.state == ContainerState.PRESENT).order_by(col(Container.ctid))
    narrow = ((Container.node, selector.nodes), (Container.site, selector.sites), (Container.plan, selector.plans))
    narrow += ((Container.template, selector.templates), (Container.customer, selector.customers))  # type: ignore[assignment]
    query = query.where(*(col(column).in_(values) for column, values in narrow if values))
    return spread(container for container in session.exec(query).all() if _fits(container, selector) and not fits_any(container, selector.exclude))


def fits_any(container: Container, traits: Traits) -> bool:
    """One of the traits is enough."""
    if any(container.labels.get(name) == value for name, value in traits.labels.items()):
        return True
    if container.ctid in traits.ids or _named(container, traits.names):
        return True
    pairs = ((container.node, traits.nodes), (container.site, traits.sites), (container.plan, traits.plans))
    return any(value in values for value, values in (*pairs, (container.template, traits.templates), (container.customer, traits.customers)))


def canaries_of(containers: Sequence[Container], wanted: Sequence[int | str]) -> list[Container]:
    """The canaries, in the order in which they are named; raises BadOrder for one that is not among the containers."""
    found: dict[int, Container] = {}
    lacking = []
    for name in wanted:
        fitting = [one for one in containers if (one.ctid == name if isinstance(name, int) else _named(one, [name]) or str(one.ctid) == name)]
        found |= {one.ctid: one for one in fitting}
        if not fitting:
            lacking.append(str(name))
    if lacking:
        raise BadOrder({"waves.canaries": f"{', '.join(lacking)}: not among the {len(containers)} containers that the selector fits"})
    return list(found.values())


def spread(containers: Iterable[Container]) -> list[Container]:
    """One of each node in turn."""
    queues: dict[str, deque[Container]] = defaultdict(deque)
    for container in containers:
        queues[container.node].append(container)
    order = []
    while queues:
        for node in sorted(queues):
            order.append(queues[node].popleft())
            if not queues[node]:
                del queues[node]
    return order


def wave_sizes(waves: Waves, population: int) -> Iterator[int]:
    """The sizes of the waves behind the canaries, for as many containers as are left."""
    left = population
    for size in _wanted(waves, population):
        if left <= 0:
            return
        yield min(size, left)
        left -= size
    if left > 0:
        yield left


def _wanted(waves: Waves, population: int) -> Iterator[int]:
    if waves.ramp_up is not None:
        size = waves.ramp_up.first
        while True:
            size = min(size, waves.ramp_up.most or size)
            yield size
            size *= waves.ramp_up.factor
    for wave in waves.sizes:
        yield wave if isinstance(wave, int) else -(-population * ten_thousandths(wave) // 10_000)  # a part of one is one


def _fits(container: Container, selector: Selector) -> bool:
    """Labels, names and ids; the rest was asked of the database."""
    if any(container.labels.get(name) != value for name, value in selector.labels.items()):
        return False
    if selector.names and not _named(container, selector.names):
        return False
    return not selector.ids or container.ctid in selector.ids


def _named(container: Container, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for name in (container.name, container.hostname) if name for pattern in patterns)
