"""`python -m producers.api > openapi.json`: the document for client generators."""

import json
import sys
import tempfile
from pathlib import Path

from models.settings import Settings
from producers.api.app import create_app
from producers.house import open_house

with tempfile.TemporaryDirectory() as folder:
    house = open_house(Settings(state=Path(folder), database=""))  # connects to nothing
    json.dump(create_app(house).openapi(), sys.stdout, indent=2)
    house.close()
sys.stdout.write("\n")
