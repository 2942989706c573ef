-- Instances, what they are made of, and the nodes that run them. Every change of the desired state and every lease of a
-- node's room is a row here; what runs follows from it.

-- Tenants that have anything here, so that reconcilers can go from one to the next. No tenant's data.
CREATE TABLE scheduling.tenants (
  id          uuid PRIMARY KEY,
  name        text NOT NULL UNIQUE,
  create_time timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE scheduling.nodes (
  id               text PRIMARY KEY,
  region           text NOT NULL,
  memory_bytes     bigint NOT NULL CHECK (memory_bytes >= 0),
  cpu_millis       bigint NOT NULL CHECK (cpu_millis >= 0),
  -- Microseconds of this database's clock when the agent's newest session began; writes of older sessions are refused.
  session_epoch    bigint NOT NULL,
  last_report_time timestamptz NOT NULL DEFAULT now()
);

-- Room of a node that is taken by a replica. Global, because the room is; it says nothing of what the tenant runs.
CREATE TABLE scheduling.leases (
  replica_id   uuid PRIMARY KEY,
  tenant_id    uuid NOT NULL REFERENCES scheduling.tenants (id),
  node         text NOT NULL REFERENCES scheduling.nodes (id),
  epoch        bigint NOT NULL,
  memory_bytes bigint NOT NULL CHECK (memory_bytes >= 0),
  cpu_millis   bigint NOT NULL CHECK (cpu_millis >= 0)
);
CREATE INDEX leases_node ON scheduling.leases (node);

CREATE TABLE scheduling.instances (
  tenant_id           uuid NOT NULL REFERENCES scheduling.tenants (id),
  id                  uuid NOT NULL,
  name                text NOT NULL,
  -- Grows with each change of the spec.
  generation          bigint NOT NULL CHECK (generation >= 1),
  -- The generation that last changed what a worker is; a change of the number of replicas leaves it.
  template_generation bigint NOT NULL CHECK (template_generation BETWEEN 1 AND generation),
  -- Grows with each change of the desired state; plans made on an older one are void.
  version             bigint NOT NULL DEFAULT 1,
  deleting            boolean NOT NULL DEFAULT false,
  state               text NOT NULL DEFAULT 'provisioning'
                      CHECK (state IN ('provisioning', 'ready', 'failing', 'deleting')),
  observed_generation bigint NOT NULL DEFAULT 0,
  ready_replicas      integer NOT NULL DEFAULT 0,
  message             text NOT NULL DEFAULT '',
  create_time         timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, name)
);

-- The spec of each generation with what was true of the model when it was accepted. Never changed.
CREATE TABLE scheduling.revisions (
  tenant_id              uuid NOT NULL,
  instance_id            uuid NOT NULL,
  generation             bigint NOT NULL,
  listing                text NOT NULL,
  variant                text NOT NULL,
  region                 text NOT NULL,
  isolation_class        text NOT NULL CHECK (isolation_class IN ('isolated')),
  replicas               integer NOT NULL CHECK (replicas BETWEEN 1 AND 16),
  context_tokens         integer NOT NULL CHECK (context_tokens > 0),
  max_concurrency        integer NOT NULL CHECK (max_concurrency BETWEEN 1 AND 64),
  price_book             text NOT NULL,
  artifact_sha256        text NOT NULL CHECK (artifact_sha256 ~ '^[0-9a-f]{64}$'),
  artifact_bytes         bigint NOT NULL CHECK (artifact_bytes > 0),
  trained_context_tokens integer NOT NULL CHECK (trained_context_tokens > 0),
  residency              text[] NOT NULL,
  memory_bytes           bigint NOT NULL CHECK (memory_bytes > 0),
  cpu_millis             bigint NOT NULL CHECK (cpu_millis >= 0),
  PRIMARY KEY (tenant_id, instance_id, generation),
  FOREIGN KEY (tenant_id, instance_id) REFERENCES scheduling.instances (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE scheduling.replicas (
  tenant_id   uuid NOT NULL,
  id          uuid NOT NULL,
  instance_id uuid NOT NULL,
  generation  bigint NOT NULL,
  node        text NOT NULL REFERENCES scheduling.nodes (id),
  epoch       bigint NOT NULL,
  state       text NOT NULL DEFAULT 'pending'
              CHECK (state IN ('pending', 'starting', 'ready', 'stopping', 'failed', 'stopped')),
  state_time  timestamptz NOT NULL DEFAULT now(),
  target      text NOT NULL DEFAULT '',
  message     text NOT NULL DEFAULT '',
  start_count integer NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, instance_id, generation)
    REFERENCES scheduling.revisions (tenant_id, instance_id, generation)
);
CREATE INDEX replicas_instance ON scheduling.replicas (tenant_id, instance_id);

-- Long-running operations; they outlive their instance, so instance_id is no foreign key.
CREATE TABLE scheduling.operations (
  tenant_id     uuid NOT NULL REFERENCES scheduling.tenants (id),
  id            uuid NOT NULL,
  kind          text NOT NULL CHECK (kind IN ('create', 'update', 'delete')),
  instance_id   uuid NOT NULL,
  instance_name text NOT NULL,
  generation    bigint NOT NULL,
  phase         text NOT NULL,
  done          boolean NOT NULL DEFAULT false,
  error_code    integer NOT NULL DEFAULT 0,
  error_reason  text NOT NULL DEFAULT '',
  error_message text NOT NULL DEFAULT '',
  create_time   timestamptz NOT NULL DEFAULT now(),
  done_time     timestamptz,
  PRIMARY KEY (tenant_id, id),
  CHECK (done = (done_time IS NOT NULL))
);
CREATE INDEX operations_open ON scheduling.operations (tenant_id, instance_id) WHERE NOT done;

-- What makes a retried mutation safe: the caller's id, a fingerprint of what it asked, and the operation it got.
CREATE TABLE scheduling.request_ids (
  tenant_id      uuid NOT NULL,
  id             uuid NOT NULL,
  payload_sha256 text NOT NULL,
  operation_id   uuid NOT NULL,
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, operation_id) REFERENCES scheduling.operations (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX request_ids_operation ON scheduling.request_ids (tenant_id, operation_id);

ALTER TABLE scheduling.instances   ENABLE ROW LEVEL SECURITY;
ALTER TABLE scheduling.instances   FORCE ROW LEVEL SECURITY;
ALTER TABLE scheduling.revisions   ENABLE ROW LEVEL SECURITY;
ALTER TABLE scheduling.revisions   FORCE ROW LEVEL SECURITY;
ALTER TABLE scheduling.replicas    ENABLE ROW LEVEL SECURITY;
ALTER TABLE scheduling.replicas    FORCE ROW LEVEL SECURITY;
ALTER TABLE scheduling.operations  ENABLE ROW LEVEL SECURITY;
ALTER TABLE scheduling.operations  FORCE ROW LEVEL SECURITY;
ALTER TABLE scheduling.request_ids ENABLE ROW LEVEL SECURITY;
ALTER TABLE scheduling.request_ids FORCE ROW LEVEL SECURITY;

CREATE POLICY own_tenant ON scheduling.instances
  USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid);
CREATE POLICY own_tenant ON scheduling.revisions
  USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid);
CREATE POLICY own_tenant ON scheduling.replicas
  USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid);
CREATE POLICY own_tenant ON scheduling.operations
  USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid);
CREATE POLICY own_tenant ON scheduling.request_ids
  USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid);
