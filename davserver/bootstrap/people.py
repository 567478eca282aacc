"""The services about people, each alone: what a command or a test needs when it needs no drive."""

import os

from davserver.bootstrap.secrets import Random, secret_of
from davserver.config import Config
from davserver.db.units import Database
from davserver.domain.clock import Clock, system_clock
from davserver.services.accounts import Accounts
from davserver.services.devices import Devices
from davserver.services.passwords import PasswordHasher
from davserver.services.post import Post
from davserver.services.resets import Resets
from davserver.services.second_factor import SecondFactors
from davserver.services.sessions import Sessions
from davserver.services.signing import Signer
from davserver.services.signing_keys import SigningKeys
from davserver.services.throttle import Throttle


def open_accounts(
    config: Config,
    database: Database,
    *,
    clock: Clock = system_clock,
    random: Random = os.urandom,
    throttle: Throttle | None = None,
) -> Accounts:
    """The accounts alone."""
    quota, secret = config.default_quota, secret_of(config, random)
    return Accounts(
        database, clock, secret, hasher=PasswordHasher(), default_quota=quota, throttle=throttle, post=post_of(config)
    )


def open_sessions(
    config: Config, database: Database, *, clock: Clock = system_clock, random: Random = os.urandom
) -> Sessions:
    """The sessions alone."""
    secret = secret_of(config, random)
    return Sessions(database, clock, random, secret, Signer(SigningKeys(database, clock, secret), clock))


def open_signing_keys(
    config: Config, database: Database, *, clock: Clock = system_clock, random: Random = os.urandom
) -> SigningKeys:
    """The keys that sign alone."""
    return SigningKeys(database, clock, secret_of(config, random))


def open_second_factors(
    config: Config, database: Database, *, clock: Clock = system_clock, random: Random = os.urandom
) -> SecondFactors:
    """The second factors alone."""
    return SecondFactors(database, clock, random, secret_of(config, random))


def open_resets(
    config: Config, database: Database, *, clock: Clock = system_clock, random: Random = os.urandom
) -> Resets:
    """Reset links and invitations alone."""
    signer = Signer(open_signing_keys(config, database, clock=clock, random=random), clock)
    accounts = open_accounts(config, database, clock=clock, random=random)
    hasher = PasswordHasher()
    return Resets(database, clock, random, signer, accounts=accounts, hasher=hasher, registration=config.registration)


def open_devices(
    config: Config, database: Database, *, clock: Clock = system_clock, random: Random = os.urandom
) -> Devices:
    """The device tokens alone."""
    return Devices(database, clock, random, secret_of(config, random), post=post_of(config))


def post_of(config: Config) -> Post:
    """Where notices are put in."""
    return Post(is_on=config.smtp_host is not None)
