// A tenant whose grace is over is removed from every service, whatever is killed at any moment of it; what stays is
// whole, and nobody else loses anything.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <iostream>
#include <map>
#include <pqxx/pqxx>
#include <random>
#include <set>
#include <thread>

#include "services/common/audit/chain.h"
#include "services/common/audit/convert.h"
#include "tests/integration/belongings.h"

namespace allod::tenant_purge_death_test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr int kRounds = 12;
constexpr int kKeys = 40'000;
constexpr int kOperations = 20'000;

class TenantPurgeDeath : public testing::Test {
 protected:
  TenantPurgeDeath() {
    for (const char* tenant : {"ke", "tanganyika"}) {
      MakeTenant(methods_, tenant);
      Furnish(methods_, tenant, "nyumba", "jamii");
    }
    Fill();
  }
  // So that removing it takes a while.
  void Fill() {
    pqxx::connection connection(programs_.database().owner_url);
    pqxx::work work(connection);
    work.exec_params("SELECT set_config('allod.tenant', $1, true)", kUid);
    work.exec_params(
        "INSERT INTO tenancy.api_keys (tenant_id, kid, project_id, display_name, scopes, roles, digest, create_time, "
        "revoke_time) SELECT $1::uuid, translate(substr(md5(n::text), 1, 12), '0189', 'ghij'), 'nyumba', '', "
        "'{PORTAL}', '{admin}', sha256(n::text::bytea), now(), now() FROM generate_series(1, $2::int) AS n",
        kUid, kKeys);
    work.exec_params(
        "INSERT INTO scheduling.operations (tenant_id, id, kind, instance_id, instance_name, generation, phase, done, "
        "done_time) SELECT $1::uuid, gen_random_uuid(), 'create', gen_random_uuid(), "
        "'tenants/ke/projects/nyumba/instances/old', 1, 'ready', true, now() FROM generate_series(1, $2::int)",
        kUid, kOperations);
    work.commit();
  }
  // Rows of a tenant in each table that has tenants' rows.
  std::map<std::string, int> Rows(const std::string& uid) const {
    pqxx::connection connection(programs_.database().owner_url);
    pqxx::nontransaction session(connection);
    std::map<std::string, int> out;
    for (const auto& table : session.exec(
             "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
             "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' WHERE c.relkind = 'r'")) {
      const auto name = table[0].as<std::string>();
      out[name] = session.exec_params1(fmt::format("SELECT count(*) FROM {} WHERE tenant_id = $1::uuid", name), uid)[0]
                      .as<int>();
    }
    return out;
  }
  int SchedulingTenants() const {
    pqxx::connection connection(programs_.database().owner_url);
    pqxx::nontransaction session(connection);
    return session.exec_params1("SELECT count(*) FROM scheduling.tenants WHERE id = $1::uuid", kUid)[0].as<int>();
  }
  std::string StateOf(const std::string& tenant) const {
    return methods_.Must("tenancy.GetTenant", {{"name", tenant}}).at("state");
  }
  // Where the tenant's log of a service is broken; empty: nowhere.
  std::string Broken(const std::string& area) const {
    audit::v1::AuditHead told;
    FillFromJson(methods_.Must(area + ".GetAuditHead", {{"parent", "tenants/ke"}}).dump(), told);
    audit::ChainVerifier verifier(audit::Genesis(area, "tenants/ke"));
    verifier.Expect(audit::FromProto(told).value());
    json request = {{"parent", "tenants/ke"}, {"pageSize", 500}};
    do {
      audit::v1::AuditEntries entries;
      FillFromJson(methods_.Must(area + ".ListAuditEntries", request).dump(), entries);
      for (const auto& entry : entries.entries()) {
        if (const auto broken = verifier.Add(audit::FromProto(entry).value())) return broken->words;
      }
      request["pageToken"] = entries.next_page_token();
    } while (request["pageToken"] != "");
    const auto broken = verifier.Finish();
    return broken ? broken->words : "";
  }

  const std::string kUid = Uuid::FromName("tenants/ke").ToString();
  Programs programs_;
  AllMethods methods_{programs_};
};

TEST_F(TenantPurgeDeath, KilledAtAnyMomentItIsRemovedAllTheSame) {
  const std::set<std::string> stays = {"tenancy.tenants", "tenancy.audit_heads", "tenancy.audit_entries",
                                       "scheduling.audit_heads", "scheduling.audit_entries"};
  const auto before = Rows(kUid);
  const std::string other = Uuid::FromName("tenants/tanganyika").ToString();
  auto others = Rows(other);
  const std::string etag = methods_.Must("tenancy.GetTenant", {{"name", "tenants/ke"}}).at("etag");
  const json deleted = methods_.Must("tenancy.DeleteTenant", {{"name", "tenants/ke"}, {"etag", etag}, {"grace", "0s"}});
  EXPECT_EQ(deleted.at("state"), "STATE_DELETING");
  std::minstd_rand random(7);
  const auto begin = std::chrono::steady_clock::now();
  int in_the_midst = 0;
  for (int round = 0; round < kRounds; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50 + random() % 400));
    const auto rows = Rows(kUid);
    const bool begun = rows.at("tenancy.api_keys") < before.at("tenancy.api_keys") ||
                       rows.at("scheduling.operations") < before.at("scheduling.operations");
    if (begun && rows.at("tenancy.api_keys") + rows.at("scheduling.operations") > 0) ++in_the_midst;
    programs_.KillAndStartAgain(round % 2 == 0 ? "tenancy" : "scheduling");
  }
  const auto deadline = std::chrono::steady_clock::now() + 120s;
  while ((StateOf("tenants/ke") != "STATE_DELETED" || SchedulingTenants() > 0) &&
         std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(100ms);
  }
  EXPECT_EQ(StateOf("tenants/ke"), "STATE_DELETED");
  EXPECT_EQ(SchedulingTenants(), 0);
  EXPECT_GT(in_the_midst, 0) << "it was killed in the midst of it";
  for (const auto& [table, count] : Rows(kUid)) {
    // What was bought and paid stays, by law.
    if (stays.contains(table) || table.starts_with("billing.")) {
      EXPECT_GE(count, before.at(table)) << table;
    } else {
      EXPECT_EQ(count, 0) << table;
    }
  }
  // What an operator read is noted in its log, and its instances are looked for a place.
  auto others_now = Rows(other);
  for (auto* rows : {&others, &others_now}) {
    std::erase_if(*rows, [](const auto& table) { return table.first.find(".audit_") != std::string::npos; });
  }
  EXPECT_EQ(others_now, others);
  for (const char* area : {"tenancy", "scheduling", "billing"}) EXPECT_EQ(Broken(area), "") << area;
  const AnyMethod* create = methods_.Find("tenancy.CreateTenant");
  const MessagePtr request = NewMessage(*create->descriptor->input_type());
  FillFromJson(R"({"tenantId":"ke","tenant":{"displayName":"ke","currencyCode":"KES","residency":["ke"]}})", *request);
  EXPECT_NE(methods_.Ask(*create, *request, Caller::Operator()).status.error_details().find("TENANT_ID_USED"),
            std::string::npos);
  std::cout << fmt::format(
      "{} kills, {} of them in the midst; gone after {} ms\n", kRounds, in_the_midst,
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin).count());
}

}  // namespace
}  // namespace allod::tenant_purge_death_test
