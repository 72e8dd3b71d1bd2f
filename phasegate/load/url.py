"""Addresses of APIs, for the generator; see `model.address`."""

from phasegate.model.address import Address as Address
