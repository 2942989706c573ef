// A pool over a small schema of its own, for tests of what PgPool does.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/common/pg/pool.h"
#include "tests/support/pg_fixture.h"

namespace allod {

using namespace std::chrono_literals;

inline constexpr char kTables[] = R"sql(
CREATE TABLE sample.notes (
  tenant_id uuid NOT NULL,
  id text NOT NULL,
  body text,
  PRIMARY KEY (tenant_id, id)
);
ALTER TABLE sample.notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE sample.notes FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON sample.notes
  USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)
  WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid);
CREATE TABLE sample.counters (id text PRIMARY KEY, value bigint NOT NULL CHECK (value >= 0));
CREATE TABLE sample.parts (id text REFERENCES sample.counters (id));
)sql";

const TenantId kKe = TenantId::FromName("tenants/ke").value();
const TenantId kTz = TenantId::FromName("tenants/tz").value();

class PgTest : public testing::Test {
 protected:
  PgConfig Config(int connections_max = 4) const {
    PgConfig out = database_.app_config();
    out.connections_max = connections_max;
    return out;
  }
  Status Note(const TenantId& session, const TenantId& owner, const std::string& id) {
    return pool_.Run<void>(session, [&](TenantTx& tx) -> Status {
      tx.Exec("INSERT INTO sample.notes (tenant_id, id, body) VALUES ($1, $2, $3)", owner, id, "text");
      return {};
    });
  }
  Result<int> CountNotes(const TenantId& tenant) {
    return pool_.Run<int>(tenant, [](TenantTx& tx) -> Result<int> {
      return tx.Exec("SELECT count(*) FROM sample.notes")[0][0].as<int>();
    });
  }
  Result<int> Value(const std::string& id) {
    return pool_.Run<int>([&](GlobalTx& tx) -> Result<int> {
      const auto rows = tx.Exec("SELECT value FROM sample.counters WHERE id = $1", id);
      if (rows.empty()) return NotFound("no counter");
      return rows[0][0].as<int>();
    });
  }
  static Status Insert(GlobalTx& tx, const std::string& id, int value) {
    tx.Exec("INSERT INTO sample.counters (id, value) VALUES ($1, $2)", id, value);
    return {};
  }
  // Ends the session that `tx` runs in, as a crash of the server would.
  void Terminate(int backend_pid) {
    pqxx::connection owner(database_.owner_url);
    pqxx::nontransaction session(owner);
    session.exec_params("SELECT pg_terminate_backend($1, 5000)", backend_pid);
  }
  static int Pid(GlobalTx& tx) { return tx.Exec("SELECT pg_backend_pid()")[0][0].as<int>(); }

  TempDir dir_;
  // Written before the template is made from it.
  const std::filesystem::path tables_ = dir_.Write("0001_create_sample.sql", kTables);
  TestDatabase database_{"sample", dir_.path()};
  PgPool pool_{Config()};
};

}  // namespace allod
