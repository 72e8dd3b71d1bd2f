"""Addresses of APIs, for the generator; see `phases.address`."""

from phases.address import Address as Address
