"""What the server, the operator and the chart agree on: names, ports, paths and metric specs.  Standard library only."""
