// Every table with a tenant's rows, of all migrations of all services, is closed to other tenants: row-level security
// is forced and its policies compare with the transaction's tenant, reading and writing. A new table is covered the day
// its migration is added.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "services/common/pg/migrations.h"
#include "tests/support/pg_fixture.h"

namespace allod::row_security_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Tables that name tenants and are read over all of them, with their columns. What belongs to a tenant must not be
// among these: a new column fails the test until somebody has thought about it.
const std::map<std::string, std::string> kOfThePlatform = {
    {"billing.known_tenants", "currency_code,name,tenant_id"},
    {"scheduling.leases",
     "cpu_millis,epoch,memory_bytes,node,pool_bytes,replica_id,shared_key,tenant_id,weights_bytes"},
    {"tenancy.tenants",
     "ancestors,below_api_keys,below_context_tokens,below_instances,below_memory_bytes,below_projects,"
     "below_replicas,create_time,currency_code,delete_reason,delete_time,deleted_from_above,display_name,id,identity_"
     "version,keys_version,"
     "limit_concurrency,limit_requests,limit_shadow,limit_tokens,limits_version,parent,purge_time,quota_api_keys,"
     "quota_context_tokens,quota_instances,quota_memory_bytes,quota_projects,quota_replicas,residency,residency_rules,"
     "state,state_before,suspend_reason,suspended_by,suspended_from_above,tenant_id,version,weight"},
};

// Relations with a column tenant_id, and what is asked of each. PostgreSQL shows every policy's expression in one form.
constexpr char kRelations[] = R"sql(
WITH tenant_tables AS (
  SELECT c.oid, n.nspname AS schema, n.nspname || '.' || c.relname AS name, 'allod_' || n.nspname AS role, c.relkind,
         c.relrowsecurity, c.relforcerowsecurity, c.relowner, a.attnotnull, a.atttypid = 'uuid'::regtype AS is_uuid
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^(pg_|information_schema)'
)
SELECT t.name,
  (SELECT string_agg(a.attname, ',' ORDER BY a.attname::text COLLATE "C") FROM pg_attribute a
    WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
  concat_ws('; ',
    CASE WHEN t.relkind IN ('v', 'm', 'f') THEN 'no table: its rows have no row-level security' END,
    CASE WHEN NOT t.relrowsecurity THEN 'row-level security is not enabled' END,
    CASE WHEN NOT t.relforcerowsecurity THEN 'row-level security is not forced' END,
    CASE WHEN NOT t.is_uuid OR NOT t.attnotnull THEN 'tenant_id is not uuid NOT NULL' END,
    CASE WHEN pg_has_role(t.role, t.relowner, 'MEMBER') THEN 'its service owns it' END,
    CASE WHEN has_table_privilege(t.role, t.oid, 'TRUNCATE') THEN 'its service may truncate it' END,
    CASE WHEN NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = t.oid AND p.polpermissive AND p.polcmd = '*')
      THEN 'no policy for all commands' END,
    (SELECT string_agg(format('policy %s is not USING (tenant_id = the transaction''s) WITH CHECK (the same)', p.polname), '; ')
      FROM pg_policy p
      WHERE p.polrelid = t.oid AND p.polpermissive
        -- One for a role that no service has opens nothing to a service.
        AND EXISTS (SELECT FROM unnest(p.polroles) AS r (oid), pg_roles app
                    WHERE app.rolname LIKE 'allod\_%' AND (r.oid = 0 OR pg_has_role(app.oid, r.oid, 'MEMBER')))
        AND (p.polcmd <> '*'
          OR pg_get_expr(p.polqual, p.polrelid) IS DISTINCT FROM $1
          OR pg_get_expr(p.polwithcheck, p.polrelid) IS DISTINCT FROM $1))
  ) AS faults
FROM tenant_tables t ORDER BY t.name
)sql";
constexpr char kOwnTenant[] = "(tenant_id = (NULLIF(current_setting('allod.tenant'::text, true), ''::text))::uuid)";

// "billing.x: row-level security is not forced", for each table that is open.
std::vector<std::string> Faults(const TestDatabase& database, int* looked_at = nullptr) {
  pqxx::connection connection(database.owner_url);
  pqxx::nontransaction session(connection);
  std::vector<std::string> out;
  for (const auto& row : session.exec_params(kRelations, kOwnTenant)) {
    const auto name = row["name"].as<std::string>();
    if (looked_at != nullptr) ++*looked_at;
    const auto global = kOfThePlatform.find(name);
    if (global == kOfThePlatform.end()) {
      if (const auto faults = row["faults"].as<std::string>(); !faults.empty()) out.push_back(name + ": " + faults);
    } else if (row["columns"].as<std::string>() != global->second) {
      out.push_back(fmt::format("{}: is read over all tenants, and has the columns {}: may all of them be?", name,
                                row["columns"].as<std::string>()));
    }
  }
  return out;
}

std::vector<std::string> Services() {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(SourceDir() / "migrations")) {
    if (entry.is_directory()) out.push_back(entry.path().filename().string());
  }
  return out;
}

TEST(RowSecurity, EveryTableOfATenantIsClosedToOthers) {
  ASSERT_GE(Services().size(), 4U);
  const TestDatabase database(Services());
  int looked_at = 0;
  EXPECT_THAT(Faults(database, &looked_at), IsEmpty())
      << "a table with tenant_id needs: ENABLE and FORCE ROW LEVEL SECURITY, and a policy for all commands with USING "
         "and WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)";
  EXPECT_GE(looked_at, 25) << "the test looked at something";
}

TEST(RowSecurity, NoServiceMayStepAroundIt) {
  const TestDatabase database(Services());
  pqxx::connection connection(database.owner_url);
  pqxx::nontransaction session(connection);
  for (const std::string& service : Services()) {
    const std::string role = "allod_" + service;
    const auto can = session.exec_params1(
        "SELECT rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication, "
        "EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid) FROM pg_roles r WHERE rolname = $1",
        role);
    EXPECT_FALSE(can[0].as<bool>()) << role;
    EXPECT_FALSE(can[1].as<bool>()) << role << " is a member of another role";
    // What runs as the owner is not held by the policies unless it is forced on him too, which a superuser is not: it
    // is bound to a search path and reviewed one by one.
    for (const auto& row : session.exec_params(
             "SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
             "WHERE n.nspname = $1 AND p.prosecdef "
             "AND NOT COALESCE(p.proconfig @> ARRAY['search_path=pg_catalog, pg_temp'], false)",
             service)) {
      ADD_FAILURE() << row[0].as<std::string>() << " is SECURITY DEFINER without SET search_path = pg_catalog, pg_temp";
    }
  }
  // None reaches into the schema of another.
  for (const auto& row :
       session.exec("SELECT r.rolname || ' may use ' || n.nspname FROM pg_roles r, pg_namespace n "
                    "WHERE r.rolname = ANY (SELECT 'allod_' || nspname FROM pg_namespace) AND n.nspname !~ '^pg_' "
                    "AND n.nspname NOT IN ('public', 'information_schema') AND r.rolname <> 'allod_' || n.nspname "
                    "AND has_schema_privilege(r.oid, n.oid, 'USAGE')")) {
    ADD_FAILURE() << row[0].as<std::string>();
  }
}

// A trigger function that runs as its owner trusts that it runs for the table it was made for.
TEST(RowSecurity, NoServiceFiresAnothersTriggersOnATableOfItsOwn) {
  const TestDatabase database(Services());
  pqxx::connection connection(database.owner_url);
  pqxx::nontransaction session(connection);
  // What a new database has, and an installation of before: a migration that finds nothing new to do takes it away.
  session.exec("GRANT TEMPORARY ON DATABASE " + session.quote_name(session.conn().dbname()) + " TO PUBLIC");
  session.exec("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA scheduling TO PUBLIC");
  for (const std::string& service : Services()) {
    const auto migrated = Migrate(database.owner_url, service, SourceDir() / "migrations" / service, kTestAppPassword);
    ASSERT_TRUE(migrated) << migrated.error().message;
    EXPECT_EQ(migrated->applied, 0);
  }
  std::map<std::string, std::vector<std::string>> functions;
  for (const auto& row : session.exec("SELECT n.nspname, p.oid::regproc::text FROM pg_proc p JOIN pg_namespace n ON "
                                      "n.oid = p.pronamespace WHERE p.prosecdef AND p.prorettype = 'trigger'::regtype "
                                      "AND n.nspname !~ '^pg_' ORDER BY 1, 2")) {
    functions[row[0].as<std::string>()].push_back(row[1].as<std::string>());
  }
  EXPECT_GE(functions["billing"].size(), 10U) << "the test looked at something";
  EXPECT_GE(functions["scheduling"].size(), 2U);
  for (const std::string& service : Services()) {
    pqxx::connection app(database.app_config(service).url);
    const auto refused = [&](const std::string& sql) {
      pqxx::work work(app);
      EXPECT_THROW(work.exec(sql), pqxx::insufficient_privilege) << service << ": " << sql;
    };
    refused("CREATE TEMPORARY TABLE mine (tenant_id uuid)");
    refused("CREATE TABLE public.mine (tenant_id uuid)");
    refused("CREATE TABLE " + service + ".mine (tenant_id uuid)");
    for (const std::string& function : functions[service]) {
      EXPECT_FALSE(session
                       .exec_params1("SELECT has_function_privilege($1, $2::regproc::oid, 'EXECUTE')",
                                     "allod_" + service, function)[0]
                       .as<bool>())
          << function;
    }
  }
}

// That the first test fails for what it is there for: a migration that forgets something is named with what it forgot.
class Forgetful : public testing::Test {
 protected:
  static constexpr char kTable[] = "CREATE TABLE sample.notes (tenant_id uuid NOT NULL, body text);";
  static constexpr char kEnable[] = "ALTER TABLE sample.notes ENABLE ROW LEVEL SECURITY;";
  static constexpr char kForce[] = "ALTER TABLE sample.notes FORCE ROW LEVEL SECURITY;";
  static constexpr char kUsing[] =
      "CREATE POLICY own ON sample.notes USING (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid)";
  static constexpr char kCheck[] = " WITH CHECK (tenant_id = NULLIF(current_setting('allod.tenant', true), '')::uuid);";

  static std::vector<std::string> FaultsOf(const std::string& migration) {
    TempDir dir;
    dir.Write("0001_create_notes.sql", migration);
    const TestDatabase database("sample", dir.path());
    return Faults(database);
  }
};

TEST_F(Forgetful, NothingIsWrongWithATableThatHasAll) {
  EXPECT_THAT(FaultsOf(std::string(kTable) + kEnable + kForce + kUsing + kCheck), IsEmpty());
}

TEST_F(Forgetful, EachThingThatIsLeftOutIsNamed) {
  const std::string policy = std::string(kUsing) + kCheck;
  EXPECT_THAT(FaultsOf(kTable), ElementsAre(HasSubstr("not enabled")));
  EXPECT_THAT(FaultsOf(std::string(kTable) + kEnable + policy),
              ElementsAre("sample.notes: row-level security is not forced"));
  EXPECT_THAT(FaultsOf(std::string(kTable) + kEnable + kForce),
              ElementsAre("sample.notes: no policy for all commands"));
  // Without WITH CHECK PostgreSQL takes USING for it; it is asked for all the same, so that nobody has to know.
  EXPECT_THAT(FaultsOf(std::string(kTable) + kEnable + kForce + kUsing + ";"), ElementsAre(HasSubstr("policy own")));
  EXPECT_THAT(FaultsOf(std::string(kTable) + kEnable + kForce + kUsing + " WITH CHECK (true);"),
              ElementsAre(HasSubstr("policy own")));
  EXPECT_THAT(FaultsOf(std::string(kTable) + kEnable + kForce + policy +
                       "CREATE POLICY wide ON sample.notes FOR SELECT USING (true);"),
              ElementsAre(HasSubstr("policy wide")));
  EXPECT_THAT(
      FaultsOf(std::string(kTable) + kEnable + kForce + policy + "GRANT TRUNCATE ON sample.notes TO allod_sample;"),
      ElementsAre(HasSubstr("truncate")));
  EXPECT_THAT(FaultsOf(std::string(kTable) + kEnable + kForce + policy +
                       "CREATE VIEW sample.all_notes AS SELECT tenant_id, body FROM sample.notes;"),
              ElementsAre(HasSubstr("sample.all_notes: no table")));
}

}  // namespace
}  // namespace allod::row_security_test
