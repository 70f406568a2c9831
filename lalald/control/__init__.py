"""The unix socket by which clients wake the daemon and ask how it is.

Everything else between clients and the daemon goes through the database. A client sends one word and a newline, and reads the answer:

- `wake`: the database holds a new request. Answer: `ok`.
- `ping`: answered once every loop of the daemon has run: `ok`, or `stuck` if one has not.
- `report`: as `ping`, then what needs a person: fields separated by NUL, four for each item.

Any other word is answered by `unknown`. `socket_server` is the daemon's side, `socket_client` the other one, which loads almost nothing.
"""
