-- What lets work follow change: a reconciler asks which tenants changed instead of reading all of them, and only tenants
-- that have something to forget are visited.

ALTER TABLE scheduling.tenants
  -- Grows with each transaction that changes a row of the tenant.
  ADD COLUMN version bigint NOT NULL DEFAULT 1,
  -- The newest of those transactions. Compared with the oldest transaction that was still running at an earlier look, it
  -- misses nothing that was committed out of order; a clock or a sequence would.
  ADD COLUMN changed_in xid8 NOT NULL DEFAULT pg_current_xact_id(),
  -- No finished operation of the tenant is older than this; null: it has none. What finished before now is taken to have
  -- finished now.
  ADD COLUMN oldest_done_time timestamptz DEFAULT now();
ALTER TABLE scheduling.tenants ALTER COLUMN oldest_done_time DROP DEFAULT;

CREATE INDEX tenants_changed ON scheduling.tenants (changed_in);
CREATE INDEX tenants_oldest_done ON scheduling.tenants (oldest_done_time) WHERE oldest_done_time IS NOT NULL;
