-- For how long replicas answered, until billing has been told: a row for each time that one became ready, made and ended by the
-- triggers below in the transaction that changes the replica. A row goes when billing knows all of it.

ALTER TABLE scheduling.replicas ADD COLUMN counted_to timestamptz;  -- no interval of it begins before

CREATE TABLE scheduling.instance_intervals (
  tenant_id       uuid NOT NULL,
  replica_id      uuid NOT NULL,
  start_time      timestamptz NOT NULL,
  end_time        timestamptz,  -- NULL: it answers still
  told_to         timestamptz NOT NULL,  -- billing knows it up to then
  due_time        timestamptz NOT NULL,  -- billing is to be told more then
  tenant_name     text NOT NULL,
  instance_id     uuid NOT NULL,
  instance_name   text NOT NULL,
  generation      bigint NOT NULL,
  variant         text NOT NULL,
  price_book      text NOT NULL,
  isolation_class text NOT NULL,
  node            text NOT NULL,
  PRIMARY KEY (tenant_id, replica_id, start_time)
);
CREATE INDEX instance_intervals_due ON scheduling.instance_intervals (due_time);
CREATE INDEX instance_intervals_open ON scheduling.instance_intervals (node) WHERE end_time IS NULL;

ALTER TABLE scheduling.instance_intervals ENABLE ROW LEVEL SECURITY;
ALTER TABLE scheduling.instance_intervals FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON scheduling.instance_intervals
  USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid);
-- What is due is found over all tenants, and a node that comes back has replicas of many. The role of the service sees none of it.
CREATE POLICY owner_of_time ON scheduling.instance_intervals TO CURRENT_USER USING (true) WITH CHECK (true);
REVOKE INSERT, UPDATE, TRUNCATE ON scheduling.instance_intervals FROM allod_scheduling;
GRANT UPDATE (told_to, due_time) ON scheduling.instance_intervals TO allod_scheduling;

-- Until when what a node runs counts: now; or, when nothing was heard of it for 15 s, until it was heard of last.
CREATE FUNCTION scheduling.heard_of(p_node text) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN n.last_report_time < now() - interval '15 seconds' THEN n.last_report_time ELSE now() END
  FROM scheduling.nodes n WHERE n.id = p_node
$$;

-- Due at once: so billing says within seconds that there is no credit, also of what is made, or wakes, for less than an hour each time.
CREATE FUNCTION scheduling.open_interval(p_tenant uuid, p_replica uuid, p_instance uuid, p_generation bigint, p_node text,
                                         p_start timestamptz) RETURNS void
LANGUAGE sql AS $$
  INSERT INTO scheduling.instance_intervals (tenant_id, replica_id, start_time, told_to, due_time, tenant_name, instance_id,
      instance_name, generation, variant, price_book, isolation_class, node)
    SELECT p_tenant, p_replica, p_start, p_start, p_start, t.name, i.id, i.name, r.generation, r.variant,
      r.price_book, r.isolation_class, p_node
    FROM scheduling.instances i
    JOIN scheduling.revisions r ON r.tenant_id = i.tenant_id AND r.instance_id = i.id AND r.generation = p_generation
    JOIN scheduling.tenants t ON t.id = i.tenant_id
    WHERE i.tenant_id = p_tenant AND i.id = p_instance
    ON CONFLICT DO NOTHING
$$;

-- Ready is what counts: a worker that sleeps, starts, stops or has failed does not.
CREATE FUNCTION scheduling.note_interval() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  was_ready boolean := TG_OP <> 'INSERT' AND OLD.state = 'ready';
  is_ready  boolean := TG_OP <> 'DELETE' AND NEW.state = 'ready';
  ended     timestamptz;
BEGIN
  IF was_ready AND NOT is_ready THEN
    UPDATE scheduling.instance_intervals v
      SET end_time = greatest(v.start_time, scheduling.heard_of(OLD.node)), due_time = now()
      WHERE v.tenant_id = OLD.tenant_id AND v.replica_id = OLD.id AND v.end_time IS NULL
      RETURNING v.end_time INTO ended;
    IF TG_OP = 'UPDATE' THEN NEW.counted_to := greatest(NEW.counted_to, ended); END IF;
  ELSIF is_ready AND NOT was_ready THEN
    PERFORM scheduling.open_interval(NEW.tenant_id, NEW.id, NEW.instance_id, NEW.generation, NEW.node,
                                     greatest(now(), NEW.counted_to + interval '1 microsecond'));
  END IF;
  RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER note_interval BEFORE INSERT OR UPDATE OF state OR DELETE ON scheduling.replicas
  FOR EACH ROW EXECUTE FUNCTION scheduling.note_interval();

-- A node of which nothing was heard for longer: what it runs did not count meanwhile. The same for the time in which this service
-- was away, because nobody can say what ran.
CREATE FUNCTION scheduling.cut_intervals() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  WITH cut AS (
    UPDATE scheduling.instance_intervals v SET end_time = greatest(v.start_time, OLD.last_report_time), due_time = now()
      WHERE v.node = NEW.id AND v.end_time IS NULL AND v.start_time < NEW.last_report_time RETURNING v.*)
  INSERT INTO scheduling.instance_intervals (tenant_id, replica_id, start_time, told_to, due_time, tenant_name, instance_id,
      instance_name, generation, variant, price_book, isolation_class, node)
    SELECT c.tenant_id, c.replica_id, NEW.last_report_time, NEW.last_report_time, NEW.last_report_time + interval '1 hour',
      c.tenant_name, c.instance_id, c.instance_name, c.generation, c.variant, c.price_book, c.isolation_class, c.node
    FROM cut c;
  RETURN NULL;
END $$;
CREATE TRIGGER cut_intervals AFTER UPDATE OF last_report_time ON scheduling.nodes
  FOR EACH ROW WHEN (NEW.last_report_time > OLD.last_report_time + interval '15 seconds')
  EXECUTE FUNCTION scheduling.cut_intervals();

-- What answers already counts from now on.
ALTER TABLE scheduling.replicas NO FORCE ROW LEVEL SECURITY;
ALTER TABLE scheduling.instances NO FORCE ROW LEVEL SECURITY;
ALTER TABLE scheduling.revisions NO FORCE ROW LEVEL SECURITY;
SELECT count(scheduling.open_interval(p.tenant_id, p.id, p.instance_id, p.generation, p.node, now()))
  FROM scheduling.replicas p WHERE p.state = 'ready';
ALTER TABLE scheduling.revisions FORCE ROW LEVEL SECURITY;
ALTER TABLE scheduling.instances FORCE ROW LEVEL SECURITY;
ALTER TABLE scheduling.replicas FORCE ROW LEVEL SECURITY;

CREATE FUNCTION scheduling.tenants_with_due_intervals(p_after uuid, p_limit integer)
RETURNS TABLE (tenant_id uuid, tenant_name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT v.tenant_id, min(v.tenant_name) FROM scheduling.instance_intervals v
  WHERE v.due_time <= now() AND v.tenant_id > p_after GROUP BY v.tenant_id ORDER BY 1 LIMIT p_limit
$$;
REVOKE ALL ON FUNCTION scheduling.tenants_with_due_intervals(uuid, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION scheduling.tenants_with_due_intervals(uuid, integer) TO allod_scheduling;

---------------------------------------------------------------------------------------------------------------------
-- Instances that cost something by the hour and whose tenant's credit is used up: nothing of them runs until he has credit again.

ALTER TABLE scheduling.instances ADD COLUMN stopped_for_credit boolean NOT NULL DEFAULT false;
CREATE INDEX instances_stopped_for_credit ON scheduling.instances (tenant_id) WHERE stopped_for_credit;
CREATE POLICY owner_finds_stopped_for_credit ON scheduling.instances FOR SELECT TO CURRENT_USER USING (true);

CREATE FUNCTION scheduling.tenants_stopped_for_credit(p_after uuid, p_limit integer)
RETURNS TABLE (tenant_id uuid, tenant_name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT t.id, t.name FROM scheduling.tenants t
  WHERE t.id IN (SELECT i.tenant_id FROM scheduling.instances i WHERE i.stopped_for_credit) AND t.id > p_after ORDER BY 1 LIMIT p_limit
$$;
REVOKE ALL ON FUNCTION scheduling.tenants_stopped_for_credit(uuid, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION scheduling.tenants_stopped_for_credit(uuid, integer) TO allod_scheduling;
