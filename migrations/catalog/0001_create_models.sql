-- The marketplace belongs to no tenant: operators write it, everybody reads it. Rows are immutable once written.
CREATE TABLE catalog.publishers (
  id text COLLATE "C" PRIMARY KEY,
  display_name text NOT NULL,
  create_time timestamptz NOT NULL
);

CREATE TABLE catalog.models (
  id text COLLATE "C" PRIMARY KEY,
  publisher_id text COLLATE "C" NOT NULL REFERENCES catalog.publishers (id),
  display_name text NOT NULL,
  description text NOT NULL,
  create_time timestamptz NOT NULL
);

-- Written only when a node has validated the file, together with the variant `source`.
CREATE TABLE catalog.versions (
  model_id text COLLATE "C" NOT NULL REFERENCES catalog.models (id),
  id text COLLATE "C" NOT NULL,
  license text NOT NULL CHECK (license <> ''),
  source_sha256 text NOT NULL CHECK (source_sha256 ~ '^[0-9a-f]{64}$'),
  architecture text NOT NULL,
  parameter_count bigint NOT NULL CHECK (parameter_count > 0),
  trained_context_tokens integer NOT NULL CHECK (trained_context_tokens > 0),
  vocabulary_size integer NOT NULL CHECK (vocabulary_size > 0),
  has_chat_template boolean NOT NULL,
  create_time timestamptz NOT NULL,
  PRIMARY KEY (model_id, id)
);
CREATE INDEX versions_by_source ON catalog.versions (source_sha256);

CREATE TABLE catalog.variants (
  model_id text COLLATE "C" NOT NULL,
  version_id text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  compression text NOT NULL,
  artifact_sha256 text NOT NULL CHECK (artifact_sha256 ~ '^[0-9a-f]{64}$'),
  artifact_bytes bigint NOT NULL CHECK (artifact_bytes > 0),
  -- What was measured.
  bytes bigint NOT NULL,
  bits_per_weight double precision NOT NULL,
  perplexity double precision NOT NULL,
  source_perplexity double precision NOT NULL,
  mean_kl_divergence double precision NOT NULL,
  top1_agreement double precision NOT NULL CHECK (top1_agreement BETWEEN 0 AND 1),
  evaluated_tokens integer NOT NULL,
  evaluation_text_sha256 text NOT NULL,
  decode_tokens_per_second double precision NOT NULL,
  prefill_tokens_per_second double precision NOT NULL,
  measured_on text NOT NULL,
  measure_time timestamptz NOT NULL,
  -- ggml type -> number of tensors.
  tensor_types jsonb NOT NULL,
  create_time timestamptz NOT NULL,
  PRIMARY KEY (model_id, version_id, id),
  FOREIGN KEY (model_id, version_id) REFERENCES catalog.versions (model_id, id)
);
CREATE INDEX variants_by_artifact ON catalog.variants (artifact_sha256);

-- What each request id made: a publisher's, model's or listing's id, or a job's UUID.
CREATE TABLE catalog.request_ids (
  request_id uuid PRIMARY KEY,
  payload_sha256 text NOT NULL,
  resource_id text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT now()
);

REVOKE UPDATE, DELETE ON catalog.publishers, catalog.models, catalog.versions, catalog.variants, catalog.request_ids
  FROM allod_catalog;
