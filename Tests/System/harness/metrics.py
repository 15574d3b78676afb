"""The metrics of a bridge as Prometheus' own parser reads them."""
import requests
from prometheus_client.parser import text_string_to_metric_families

PREFIX = "webhook_bridge_"


class Metrics:
    """One reading: samples by name and labels."""

    def __init__(self, bridge):
        response = requests.get(bridge.ops + "/metrics", timeout=10)
        assert response.status_code == 200
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        self.text = response.text
        self.families = {}
        self.samples = {}
        for family in text_string_to_metric_families(self.text):
            name = family.name + "_total" * (family.type == "counter")
            assert name not in self.families, f"{name} twice"
            self.families[name] = family
            for sample in family.samples:
                key = sample.name, frozenset(sample.labels.items())
                assert key not in self.samples, f"{key} twice"
                self.samples[key] = sample.value

    def __call__(self, name, **labels):
        """The sum of the samples that have these labels."""
        name = name if name.startswith("process_") else PREFIX + name
        found = [value for (other, pairs), value in self.samples.items()
                 if other == name and labels.items() <= dict(pairs).items()]
        assert found, f"no {name} {labels} in\n{self.text}"
        return sum(found)
