"""The configuration: one YAML file → a frozen `Config`, every mistake at once, each with its line."""

from lalald.config.model import Config, Inbox, Log, Minutes, Rule, TaskSpec, Transfers

__all__ = ["Config", "Inbox", "Log", "Minutes", "Rule", "TaskSpec", "Transfers"]
