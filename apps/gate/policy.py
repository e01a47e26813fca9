"""May this request pass to a workspace, and where to? Pure functions of request, table and time.

`app` asks for every HTTP request (through nginx), `tunnel` for every websocket, and `still_allowed`
is asked again for open websockets whenever the table changes. Owners alone may pass: neither
admins nor leads reach other people's sessions.

What a yes depends on is exactly what the key of nginx's cache holds (`deploy/nginx`): workspace,
safe or unsafe method, Origin, Sec-Fetch-Site/Mode/Dest, Authorization and Cookie. Whoever adds a
fact here adds it there. Tokens in the query string are never looked at.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from enum import StrEnum

from apps.gate import cookies
from apps.gate.addresses import Addresses, is_uid
from apps.gate.table import Route, Table
from apps.gate.tickets import GRANT_LIFETIME_S, Grant, TicketError, read_grant

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_STAY_S = 12 * 3600
"""Renewals end this long after entry: then the portal is asked whether the session still lives."""

WORKSPACES_SCOPE = "workspaces"
TOKEN_PREFIX = "gpc_"
_RENEW_BELOW_S = GRANT_LIFETIME_S / 2


class Refusal(StrEnum):
    """Why a request may not pass. The values are metric labels and log words."""

    ENTER = "enter"
    UNAUTHENTICATED = "unauthenticated"
    INVALID_BEARER = "invalid_bearer"
    SCOPE_MISSING = "scope_missing"
    CROSS_ORIGIN = "cross_origin"
    NOT_FOUND = "not_found"
    NOT_RUNNING = "workspace_not_running"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Facts:
    """A request, as far as the decision depends on it. Header values are "" when absent."""

    workspace: str
    method: str
    upgrade: bool = False
    origin: str = ""
    fetch_site: str = ""
    fetch_mode: str = ""
    fetch_dest: str = ""
    cookie: str = ""
    authorization: str = ""
    accept: str = ""

    @property
    def is_unsafe(self) -> bool:
        """True if the request may change something."""
        return self.upgrade or self.method not in SAFE_METHODS

    @property
    def wants_page(self) -> bool:
        """True if a person in front of a browser waits for a page."""
        return (
            self.method == "GET"
            and not self.upgrade
            and "text/html" in self.accept.lower()
            and self.fetch_mode in ("", "navigate")
        )


@dataclass(frozen=True, slots=True)
class Moment:
    """When the question is asked: Unix time, and monotonic time to judge the table's age."""

    now: float
    monotonic: float


@dataclass(frozen=True, slots=True)
class Credential:
    """On what ground someone passed; enough to ask again later. One of the two is set."""

    grant: Grant | None = None
    token_digest: str = ""


@dataclass(frozen=True, slots=True)
class Pass:
    """Yes. `cookie` and `authorization` replace the client's headers; `renewed` is a new grant."""

    route: Route
    credential: Credential
    cookie: str
    authorization: str
    renewed: Grant | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """No. `route` is there only when the asker owns the workspace."""

    reason: Refusal
    route: Route | None = None


Decision = Pass | Refused


@dataclass(frozen=True, slots=True)
class Rules:
    """What does not change while gate runs: the key and the addresses."""

    key: str
    addresses: Addresses


def decide(facts: Facts, table: Table, rules: Rules, at: Moment) -> Decision:
    """Yes or no for one request. A bearer token, where there is one, decides alone."""
    if not is_uid(facts.workspace):
        return Refused(Refusal.NOT_FOUND)
    scheme, _, token = facts.authorization.partition(" ")
    if scheme.lower() == "bearer":
        return _decide_bearer(facts, token.strip(), table, at)
    return _decide_cookie(facts, table, rules, at)


def still_allowed(passed: Pass, table: Table, now: float) -> bool:
    """True if what was once let through may go on: same run and place, nothing revoked since.

    The expiry of a grant does not count: whoever holds a connection open is watched instead.
    """
    route = table.routes.get(passed.route.workspace_uid)
    if route is None or not route.is_open:
        return False
    if (route.run, route.upstream) != (passed.route.run, passed.route.upstream):
        return False
    grant = passed.credential.grant
    if grant is not None:
        lives = now < grant.began_at + MAX_STAY_S
        return lives and grant.person_id == route.owner_id and _person_holds(grant, table)
    token = table.tokens.get(passed.credential.token_digest)
    return (
        token is not None
        and token.expires_at > now
        and token.person_id == route.owner_id
        and WORKSPACES_SCOPE in token.scopes
        and _is_active(token.person_id, table)
    )


def _decide_bearer(facts: Facts, text: str, table: Table, at: Moment) -> Decision:
    digest = hashlib.sha256(text.encode()).hexdigest()
    token = table.tokens.get(digest)
    if token is None:
        is_known_bad = table.is_fresh(at.monotonic) or not text.startswith(TOKEN_PREFIX)
        return Refused(Refusal.INVALID_BEARER if is_known_bad else Refusal.UNAVAILABLE)
    if token.expires_at <= at.now or not _is_active(token.person_id, table):
        return Refused(Refusal.INVALID_BEARER)
    if WORKSPACES_SCOPE not in token.scopes:
        return Refused(Refusal.SCOPE_MISSING)
    route = _own_route(facts.workspace, token.person_id, table, at)
    if isinstance(route, Refused):
        return route
    return _pass(facts, route, Credential(token_digest=digest))


def _decide_cookie(facts: Facts, table: Table, rules: Rules, at: Moment) -> Decision:
    grant = find_grant(facts, rules, at.now)
    if grant is None or not _person_holds(grant, table):
        return Refused(_first_entry(facts, table, at))
    if is_cross_origin(facts, rules.addresses):
        return Refused(Refusal.CROSS_ORIGIN)
    route = _own_route(facts.workspace, grant.person_id, table, at)
    if isinstance(route, Refused):
        return route
    if (route.run, route.upstream) != (grant.run, grant.upstream):
        return Refused(_first_entry(facts, table, at))
    return _pass(facts, route, Credential(grant=grant), _renewed(grant, table, at))


def _own_route(workspace: str, person_id: int, table: Table, at: Moment) -> Route | Refused:
    """The route of a workspace that this person owns and that runs."""
    route = table.routes.get(workspace)
    if route is None:
        fresh = table.is_fresh(at.monotonic)
        return Refused(Refusal.NOT_FOUND if fresh else Refusal.UNAVAILABLE)
    if route.owner_id != person_id:
        return Refused(Refusal.NOT_FOUND)
    return route if route.is_open else Refused(Refusal.NOT_RUNNING, route)


def find_grant(facts: Facts, rules: Rules, now: float) -> Grant | None:
    """The grant for this workspace among the cookies, if one of them is ours and still good."""
    name = rules.addresses.cookie_name("gate", facts.workspace)
    for value in cookies.values(facts.cookie, name):
        try:
            grant = read_grant(value, key=rules.key, now=now)
        except TicketError:
            continue
        if grant.workspace == facts.workspace and now < grant.began_at + MAX_STAY_S:
            return grant
    return None


def is_cross_origin(facts: Facts, addresses: Addresses) -> bool:
    """True if a page that is not this workspace's made a browser send this request.

    Token requests skip Jupyter's own check, and sibling workspaces are same-site, so cookies
    prove nothing. Unsafe methods and upgrades need the workspace's own Origin, or without an
    Origin `Sec-Fetch-Site: same-origin`. Safe ones may come from elsewhere only as the
    navigation of a whole tab.
    """
    if facts.origin and facts.origin != addresses.origin(facts.workspace):
        return True
    if facts.is_unsafe:
        if facts.fetch_site not in ("", "same-origin"):
            return True
        return not facts.origin and facts.fetch_site != "same-origin"
    if facts.fetch_site in ("", "none", "same-origin"):
        return False
    return not (facts.fetch_mode == "navigate" and facts.fetch_dest == "document")


def _pass(facts: Facts, route: Route, credential: Credential, renewed: Grant | None = None) -> Pass:
    return Pass(
        route=route,
        credential=credential,
        cookie=cookies.without_ours(facts.cookie),
        authorization=route.authorization,
        renewed=renewed,
    )


def _renewed(grant: Grant, table: Table, at: Moment) -> Grant | None:
    if grant.expires_at - at.now > _RENEW_BELOW_S or not table.is_fresh(at.monotonic):
        return None
    end = min(int(at.now) + GRANT_LIFETIME_S, grant.began_at + MAX_STAY_S)
    return replace(grant, expires_at=end)


def _person_holds(grant: Grant, table: Table) -> bool:
    person = table.people.get(grant.person_id)
    return (
        person is not None
        and person.active
        and person.epoch == grant.epoch
        and grant.session not in table.signouts
    )


def _is_active(person_id: int, table: Table) -> bool:
    person = table.people.get(person_id)
    return person is not None and person.active


def _first_entry(facts: Facts, table: Table, at: Moment) -> Refusal:
    if not table.is_fresh(at.monotonic):
        return Refusal.UNAVAILABLE
    return Refusal.ENTER if facts.wants_page else Refusal.UNAUTHENTICATED
