//! Tenants without IO: numbers, routing, quotas and secrets.
