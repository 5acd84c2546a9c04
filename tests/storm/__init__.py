"""The storm: real beats and workers that are killed, servers that go away, and what came of it.

    python -m tests.storm --minutes 5 --database postgresql --broker redis

All servers are its own, each behind a proxy, on free ports, in a folder that goes with it.

    places    the servers, and the proxy before each
    weather   what is done to them and to the processes
    account   what was due against what ran, and what must not be
    report    the figures, as they are printed
"""
