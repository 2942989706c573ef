-- What nodes are asked to do. A job is also the operation that its asker watches, under the same UUID.
CREATE TABLE catalog.jobs (
  id uuid PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('INSPECT', 'COMPRESS')),
  -- What it makes; of an inspection the variant `source` and its version.
  model_id text COLLATE "C" NOT NULL,
  version_id text COLLATE "C" NOT NULL,
  variant_id text COLLATE "C" NOT NULL,
  source_sha256 text NOT NULL CHECK (source_sha256 ~ '^[0-9a-f]{64}$'),
  compression text NOT NULL,
  license text NOT NULL,
  -- Of an inspection: the model that is made with the version if it is not there, so that a refused file leaves none.
  new_model_publisher text COLLATE "C" REFERENCES catalog.publishers (id),
  new_model_display_name text,
  new_model_description text,
  state text NOT NULL CHECK (state IN ('QUEUED', 'LEASED', 'SUCCEEDED', 'FAILED')),
  -- Number of leases so far; fences reports of older ones.
  epoch bigint NOT NULL DEFAULT 0,
  leased_by text NOT NULL DEFAULT '',
  lease_expire_time timestamptz,
  phase text NOT NULL DEFAULT '',
  progress double precision NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 1),
  error_code integer,
  error_reason text,
  error_message text,
  create_time timestamptz NOT NULL,
  update_time timestamptz NOT NULL,
  CHECK ((state = 'LEASED') <= (lease_expire_time IS NOT NULL)),
  CHECK ((state = 'FAILED') = (error_code IS NOT NULL AND error_reason IS NOT NULL AND error_message IS NOT NULL))
);
-- Identical requests share one job; only a failed one makes room for another.
CREATE UNIQUE INDEX jobs_one_per_target ON catalog.jobs (model_id, version_id, variant_id) WHERE state <> 'FAILED';
CREATE INDEX jobs_to_lease ON catalog.jobs (create_time, id) WHERE state IN ('QUEUED', 'LEASED');
REVOKE DELETE ON catalog.jobs FROM allod_catalog;
