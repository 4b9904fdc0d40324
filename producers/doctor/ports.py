"""The addresses that service and worker of this host serve on: free, or served by vzq."""

import os
import socket
from collections.abc import Iterator, Mapping
from typing import Literal

import httpx

from producers.doctor.check import Check, fault, ok, some

Ports = Mapping[str, str]  # variable → host:port
OURS = {"VZQ_API": ("/healthz", '"alive":true'), "VZQ_SERVICE_METRICS": ("/metrics", "vzq_dispatch"), "VZQ_WORKER_METRICS": ("/metrics", "vzq_")}
ASK_S = 3.0


def taken(ports: Ports) -> Iterator[Check]:
    """One check for all of them."""
    bad, told = [], []
    for variable, where in ports.items():
        host, _, port = where.rpartition(":")
        if not where or port == "0":
            continue
        try:
            number = int(port)
            there = _there(variable, host.strip("[]") or "127.0.0.1", number)
        except (ValueError, OverflowError):
            bad.append(f"{variable} is {where!r}, which is no host:port")
            continue
        except OSError as error:
            bad.append(f"nothing can be served on {where} ({variable}): {os.strerror(error.errno) if error.errno else error}")
            continue
        if there == "other":
            bad.append(f"{where} ({variable}) is taken by a program that is not vzq")
        elif there == "silent":
            bad.append(f"what listens on {where} ({variable}) says nothing within {ASK_S:.0f} s: a process of vzq that hangs, or another program")
        else:
            told.append(f"{where} {there}")
    do = "stop or restart that program, or set the variable to a free host:port"
    yield fault("ports", "; ".join(bad), do) if bad else ok("ports", some(told) or "none are fixed")


def _there(variable: str, host: str, port: int) -> Literal["free", "served", "silent", "other"]:
    """Whether vzq answers there. Raises OSError when nobody could listen."""
    asked = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - that is where it is reached from here
    try:
        socket.create_connection((asked, port), timeout=ASK_S).close()
    except OSError:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, port))
        return "free"
    path, word = OURS[variable]
    shown = f"[{asked}]" if ":" in asked else asked
    for scheme in ("http", "https"):
        try:
            with httpx.Client(verify=False, timeout=ASK_S, trust_env=False) as client:  # noqa: S501 - nothing is trusted: only whether it is ours
                if word in client.get(f"{scheme}://{shown}:{port}{path}").text:
                    return "served"
        except httpx.TimeoutException:
            return "silent"
        except (httpx.HTTPError, ValueError):
            continue
    return "other"
