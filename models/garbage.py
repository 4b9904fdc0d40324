"""Imported before all else by the programs that read rows: what they load are many objects that stay, and rows die without cycles.

By default Python goes through the young ones every 700 new ones and through all now and then: a tenth of a start.
"""

import gc

gc.set_threshold(50_000, 20, 100)
