"""Whose mailbox an address is: what providers say about dots and tags, and who gives addresses to anybody.

A rule stands here only where the provider itself documents it. Everywhere else two spellings are two
addresses: at a company's own server `kim+sales@` may well be somebody other than `kim@`.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class _Provider:
    """What a provider ignores in the part before the `@`."""

    tag: str = ""
    """From this character on nothing counts."""
    ignored: str = ""
    """Characters that do not count."""
    domain: str = ""
    """The domain under which all its others reach the same mailbox; empty when each stands for itself."""


_GOOGLE: Final = _Provider(tag="+", ignored=".", domain="gmail.com")
_PROTON: Final = _Provider(tag="+", ignored=".-_", domain="proton.me")
_PLUS: Final = _Provider(tag="+")

_PROVIDERS: Final = {
    "gmail.com": _GOOGLE,
    "googlemail.com": _GOOGLE,
    "proton.me": _PROTON,
    "protonmail.com": _PROTON,
    "protonmail.ch": _PROTON,
    "pm.me": _PROTON,
    **dict.fromkeys(
        (
            "outlook.com",
            "hotmail.com",
            "live.com",
            "msn.com",
            "icloud.com",
            "me.com",
            "mac.com",
            "fastmail.com",
            "fastmail.fm",
            "mailbox.org",
            "posteo.de",
            "hey.com",
            "zoho.com",
            "zohomail.com",
        ),
        _PLUS,
    ),
}

_GIVEN_TO_ANYBODY: Final = """
aol.com gmx.com gmx.net mail.com yahoo.com
ymail.com rocketmail.com inbox.com hushmail.com tutanota.com
tuta.io tutamail.com duck.com hey.com mail.ru email.com usa.com
hotmail.co.uk hotmail.de hotmail.es hotmail.fr hotmail.it
live.co.uk live.de live.fr live.nl outlook.de
outlook.es outlook.fr outlook.jp outlook.kr yahoo.ca yahoo.co.in yahoo.co.jp yahoo.co.kr yahoo.co.uk
yahoo.com.ar yahoo.com.au yahoo.com.br yahoo.com.mx yahoo.de yahoo.es yahoo.fr yahoo.in yahoo.it
gmx.at gmx.ch gmx.de web.de freenet.de t-online.de arcor.de online.de posteo.net bluewin.ch aon.at
orange.fr wanadoo.fr free.fr laposte.net sfr.fr libero.it virgilio.it tiscali.it alice.it tin.it
btinternet.com ntlworld.com sky.com talktalk.net virginmedia.com blueyonder.co.uk
ziggo.nl kpnmail.nl planet.nl telenet.be skynet.be wp.pl o2.pl interia.pl onet.pl op.pl seznam.cz
centrum.cz abv.bg freemail.hu citromail.hu ukr.net i.ua yandex.com yandex.ru ya.ru rambler.ru bk.ru
list.ru inbox.ru
comcast.net verizon.net att.net sbcglobal.net
bellsouth.net cox.net charter.net earthlink.net juno.com
rogers.com shaw.ca sympatico.ca bigpond.com optusnet.com.au xtra.co.nz
uol.com.br bol.com.br terra.com.br ig.com.br globo.com
naver.com hanmail.net daum.net kakao.com nate.com
empas.com dreamwiz.com korea.com paran.com lycos.co.kr
qq.com foxmail.com 163.com 126.com yeah.net sina.com sina.cn sohu.com aliyun.com 139.com 189.cn
docomo.ne.jp ezweb.ne.jp softbank.ne.jp i.softbank.jp nifty.com rediffmail.com
"""
FREE_MAIL: Final = frozenset(_PROVIDERS) | frozenset(_GIVEN_TO_ANYBODY.split())
"""Domains at which anybody may have an address."""


def mailbox_of(address: str) -> str:
    """Return the address under which a well spelled, lower-case one is compared."""
    local, _, domain = address.rpartition("@")
    provider = _PROVIDERS.get(domain)
    if provider is None:
        return address
    kept = local.partition(provider.tag)[0] if provider.tag else local
    for character in provider.ignored:
        kept = kept.replace(character, "")
    # An address of tags and dots alone is odd, but it is somebody's.
    return f"{kept or local}@{provider.domain or domain}"
