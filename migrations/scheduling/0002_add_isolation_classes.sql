-- Pooled and dedicated instances, instances that sleep, and memory that replicas share.

ALTER TABLE scheduling.revisions
  DROP CONSTRAINT revisions_isolation_class_check,
  ADD CONSTRAINT revisions_isolation_class_check CHECK (isolation_class IN ('isolated', 'pooled', 'dedicated')),
  ADD COLUMN sleep_after_seconds integer NOT NULL DEFAULT 0 CHECK (sleep_after_seconds BETWEEN 0 AND 604800),
  -- Shared, by artifact_sha256, with the other replicas of a node; memory_bytes is what one replica takes beyond it. 0 in
  -- rows of before and of dedicated instances, where memory_bytes is all of it.
  ADD COLUMN weights_bytes bigint NOT NULL DEFAULT 0 CHECK (weights_bytes >= 0),
  ADD COLUMN pool_bytes bigint NOT NULL DEFAULT 0 CHECK (pool_bytes >= 0);

ALTER TABLE scheduling.replicas
  DROP CONSTRAINT replicas_state_check,
  ADD CONSTRAINT replicas_state_check
    CHECK (state IN ('pending', 'starting', 'ready', 'stopping', 'failed', 'stopped', 'asleep'));

-- Of what a tenant runs, a lease tells other tenants' planners only which weights it shares.
ALTER TABLE scheduling.leases
  ADD COLUMN shared_key text NOT NULL DEFAULT '',
  ADD COLUMN weights_bytes bigint NOT NULL DEFAULT 0 CHECK (weights_bytes >= 0),
  ADD COLUMN pool_bytes bigint NOT NULL DEFAULT 0 CHECK (pool_bytes >= 0);
