import pytest

from smarketing.delivery.addresses import AddressForbidden, AddressPolicy, resolve

OPEN = AddressPolicy()
TRIAL = AddressPolicy(allow_loopback=True)


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/hook",
        "https://[::1]/hook",
        "https://10.1.2.3/hook",
        "https://172.16.0.9/hook",
        "https://192.168.1.1/hook",
        "https://169.254.169.254/latest",
        "https://[fe80::1]/hook",
        "https://[fd00::1]/hook",
        "https://[::ffff:10.0.0.1]/hook",
        "https://[64:ff9b::a00:1]/hook",
        "https://[2002:a00:1::]/hook",
        "https://0.0.0.0/hook",
        "https://224.0.0.1/hook",
        "https://100.64.0.1/hook",
        "https://localhost/hook",
        "https://[::a00:1]/hook",
        "https://[64:ff9b:1::a00:1]/hook",
        "https://[fec0::1]/hook",
        "https://192.0.0.8/hook",
    ],
)
async def test_an_address_inside_the_house_is_refused(url: str) -> None:
    with pytest.raises(AddressForbidden, match="public internet"):
        await resolve(url, OPEN)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://93.184.215.14/hook", "https://"),
        ("ftp://93.184.215.14/hook", "https://"),
        ("file:///etc/passwd", "https://"),
        ("https:///hook", "names no host"),
        ("https://user:word@93.184.215.14/", "user name"),
        ("https://93.184.215.14:99999/", "no address"),
        ("https://no-such-host.invalid/", "has no address"),
        ("", "https://"),
    ],
)
async def test_an_address_that_is_none_is_refused_with_the_reason(url: str, why: str) -> None:
    with pytest.raises(AddressForbidden, match=why):
        await resolve(url, OPEN)


async def test_a_public_address_over_tls_is_resolved_to_the_very_address_checked() -> None:
    target = await resolve("https://93.184.215.14/hook", OPEN)

    assert (str(target.address), target.port, target.scheme) == ("93.184.215.14", 443, "https")


async def test_loopback_without_tls_is_reached_only_where_the_policy_says_so() -> None:
    target = await resolve("http://127.0.0.1:8080/hook", TRIAL)

    assert (str(target.address), target.port) == ("127.0.0.1", 8080)


async def test_allowing_loopback_allows_no_other_private_address() -> None:
    with pytest.raises(AddressForbidden, match="public internet"):
        await resolve("http://10.0.0.1/hook", TRIAL)
