import pytest

pytestmark = pytest.mark.e2e


def test_x(site):
    print(site.output, site.processes(), site.password, site.endpoint_url)
