#!/bin/sh
# Takes the simulated nodes into the fleet, with plans and addresses to order. Safe to repeat.
set -eu
VZQ_BY=furnish
export VZQ_BY

vzq plan add small --ram 256M --disk 2G --cpus 1
vzq plan add medium --ram 512M --disk 4G --cpus 2
vzq plan add large --ram 1G --disk 8G --cpus 4
vzq pool add fra 127.64.0.0/19 --site fra --first 127.64.0.1 --last 127.64.31.254 --probe tcp:7000
vzq pool add ams 127.96.0.0/19 --site ams --first 127.96.0.1 --last 127.96.31.254 --probe tcp:7000

known=$(vzq node list --json)
for site in fra ams; do
    python3 -c '
import json, sys
known = {node["name"] for node in json.loads(sys.argv[2]) if node["state"] != "new"}
for node in json.load(open(sys.argv[1])):
    if node["name"] not in known:
        print(node["name"], node["host"], node["port"], node["fingerprint"])
' "/nodes/$site/nodes.json" "$known" |
        while read -r name host port fingerprint; do
            vzq node add "$name" --site "$site" --host "$host" --port "$port" --fingerprint "$fingerprint" --json >/dev/null
            echo "node $name is in the fleet"
        done
done
