"""What can be set, and how a wrong setting is told."""

from contextlib import chdir
from dataclasses import fields

import pytest

from iris_nb.config import home_folder
from iris_nb.keys import new_key
from serve.settings import Settings, SettingsError, renamed


def test_nothing_has_to_be_set():
    settings = Settings.from_env({})
    assert settings == Settings(home=home_folder())
    assert (settings.host, settings.port, settings.workers, settings.audit_sync) == ("127.0.0.1", 8000, 1, "full")
    assert settings.audit_url == f"sqlite:///{home_folder() / 'audit.db'}"
    assert settings.bundles == home_folder() / "bundles"


def test_the_home_is_the_same_from_whatever_folder_the_service_is_started(tmp_path):
    with chdir(tmp_path):
        assert Settings.from_env({}).home == home_folder()
        assert Settings.from_env({"IRIS_HOME": "things"}).home == tmp_path / "things"


def test_every_setting_can_be_set_and_says_what_it_is_for():
    _, key = new_key("a")
    texts = {
        "home": "/srv/iris", "host": "127.0.0.2", "port": "81", "workers": "3", "database_url": "postgresql://db/iris",
        "allowed_hosts": "iris.example", "features_url": "http://feast:6566", "features_seconds": "2",
        "audit_anchor": "/mnt/anchor.jsonl",
        "audit_sync": "normal", "audit_timeout": "2", "queue": "7", "max_rows": "8", "max_body": "2048",
        "body_seconds": "3",
        "api_keys": f"{key.name}:{key.digest}", "rate_limit": "2.5", "cors_origins": "https://a.example, https://b.example",
        "allow_open": "1", "watch_seconds": "0.5", "log_level": "warning",
    }  # fmt: skip
    settings = Settings.from_env({f"IRIS_{name.upper()}": text for name, text in texts.items()})
    for f in fields(Settings):
        assert getattr(settings, f.name) != f.default, f.name
        assert f.metadata["about"]
    assert settings.api_keys == (key,)
    assert settings.cors_origins == ("https://a.example", "https://b.example")


def test_an_empty_setting_is_one_that_is_not_set():
    assert Settings.from_env({"IRIS_PORT": "", "IRIS_HOST": " "}) == Settings(home=home_folder())


def test_all_faults_are_named_at_once():
    wrong = {
        "IRIS_PORT": "tcp://10.0.0.1:80",
        "IRIS_AUDIT_SYNC": "maybe",
        "IRIS_WORKERS": "0",
        "IRIS_ALLOW_OPEN": "yes",
    }
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(wrong)
    lines = str(caught.value).splitlines()
    assert sorted(line.split(":")[0] for line in lines) == sorted(wrong)
    assert "IRIS_PORT: expected a whole number from 1 to 65,535, got 'tcp://10.0.0.1:80'" in lines


@pytest.mark.parametrize("text", ["alice", "alice:secret", f"a:{'0' * 64},a:{'1' * 64}"])
def test_a_wrong_key_setting_is_refused_and_not_repeated(text):
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({"IRIS_API_KEYS": text})
    assert text not in str(caught.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "iris.example"])
def test_listening_beyond_this_machine_needs_keys_or_a_word(host):
    with pytest.raises(SettingsError, match="IRIS_ALLOW_OPEN"):
        Settings.from_env({"IRIS_HOST": host})
    assert Settings.from_env({"IRIS_HOST": host, "IRIS_ALLOW_OPEN": "1"}).host == host
    _, key = new_key("a")
    assert Settings.from_env({"IRIS_HOST": host, "IRIS_API_KEYS": f"a:{key.digest}"}).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_this_machine_may_call_without_a_key(host):
    assert Settings.from_env({"IRIS_HOST": host}).loopback


@pytest.mark.parametrize("kind", ["mysql", "nonsense", "postgresql+asyncpg", ""])
def test_a_database_that_the_log_cannot_be_in_is_refused_and_its_password_not_repeated(kind):
    with pytest.raises(SettingsError, match="IRIS_DATABASE_URL: expected a path, or an address") as caught:
        Settings.from_env({"IRIS_DATABASE_URL": f"{kind}://iris:pass-word@db/iris"})
    assert "pass-word" not in str(caught.value)


@pytest.mark.parametrize("text", [",", " , ,", ",,"])
def test_keys_that_are_none_are_refused(text):
    with pytest.raises(SettingsError, match="IRIS_API_KEYS: expected at least one"):
        Settings.from_env({"IRIS_API_KEYS": text})


@pytest.mark.parametrize("text", ["https://iris.example", "iris.example:80", "a b", ","])
def test_hosts_are_names_without_scheme_and_port(text):
    with pytest.raises(SettingsError, match="IRIS_ALLOWED_HOSTS"):
        Settings.from_env({"IRIS_ALLOWED_HOSTS": text})


def test_a_setting_is_still_read_by_the_name_that_it_had_before():
    assert Settings.from_env({"IRIS_AUDIT_PATIENCE": "2"}).audit_timeout == 2
    assert Settings.from_env({"IRIS_AUDIT_PATIENCE": "2", "IRIS_AUDIT_TIMEOUT": "3"}).audit_timeout == 3
    assert "IRIS_AUDIT_TIMEOUT" in renamed({"IRIS_AUDIT_PATIENCE": "2"})[0]
    assert renamed({"IRIS_AUDIT_TIMEOUT": "2"}) == []
    with pytest.raises(SettingsError, match="IRIS_AUDIT_PATIENCE: expected a number"):
        Settings.from_env({"IRIS_AUDIT_PATIENCE": "long"})


def test_settings_do_not_show_their_secrets():
    settings = Settings.from_env(
        {"IRIS_DATABASE_URL": "postgresql://iris:hush@db/iris", "IRIS_API_KEYS": f"a:{'f' * 64}"}
    )
    assert "hush" not in repr(settings)
    assert "fff" not in repr(settings)
