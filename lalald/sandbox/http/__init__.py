"""The sandbox on the network: the API, the downloads, its own controls, and connections that can be broken."""
