// A service that is killed at any moment of a change leaves the change and its entry in the audit log, or neither; and
// the log stays one chain.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <iostream>
#include <memory>
#include <pqxx/pqxx>
#include <random>
#include <set>
#include <thread>

#include "services/common/audit/chain.h"
#include "services/common/audit/convert.h"
#include "tests/integration/belongings.h"

namespace allod::audit_death_test {
namespace {

using nlohmann::json;

constexpr int kRounds = 16;
constexpr int kWriters = 3;

class AuditDeath : public testing::Test {
 protected:
  AuditDeath() {
    MakeTenant(methods_, "ke");
    of_ke_ = Furnish(methods_, "ke", "nyumba", "jamii");
  }

  // Goes on making things until it shall stop, whatever becomes of each.
  void Write(int writer) {
    for (int n = 0; !stop_; ++n) {
      const std::string id = fmt::format("w{}-{}", writer, n);
      Try("tenancy.CreateProject",
          {{"parent", of_ke_.tenant}, {"projectId", id}, {"project", {{"displayName", "Project"}}}});
      Try("tenancy.CreateApiKey", {{"parent", of_ke_.project}, {"apiKey", json::object()}});
      Try("scheduling.CreateInstance",
          {{"parent", of_ke_.project},
           {"instanceId", id},
           {"instance",
            {{"spec",
              {{"listing", Programs::kListing}, {"variant", Programs::kVariant}, {"region", "regions/ke-1"}}}}}});
    }
  }
  void Try(const std::string& method, const json& request) {
    try {
      methods_.Must(method, request);
      ++done_;
    } catch (const std::runtime_error&) {
      ++failed_;
    }
  }

  std::set<std::string> Ask(const std::string& sql) const {
    pqxx::connection connection(programs_.database().owner_url);
    pqxx::nontransaction session(connection);
    std::set<std::string> out;
    for (const auto& row : session.exec(sql)) {
      EXPECT_TRUE(out.insert(row[0].as<std::string>()).second) << row[0].as<std::string>() << " stands there twice";
    }
    return out;
  }
  // The resources of all entries of one kind.
  std::set<std::string> Entries(const std::string& area, const std::string& action) const {
    return Ask(
        fmt::format("SELECT resource FROM {}.audit_entries WHERE action = '{}' AND outcome = 'done'", area, action));
  }
  // Where the tenant's log of a service is broken; empty: nowhere.
  std::string Broken(const std::string& area) {
    audit::v1::AuditHead told;
    FillFromJson(methods_.Must(area + ".GetAuditHead", {{"parent", of_ke_.tenant}}, Caller::Tenant("ke")).dump(), told);
    audit::ChainVerifier verifier(audit::Genesis(area, of_ke_.tenant));
    verifier.Expect(audit::FromProto(told).value());
    json request = {{"parent", of_ke_.tenant}, {"pageSize", 200}};
    do {
      const json page = methods_.Must(area + ".ListAuditEntries", request, Caller::Tenant("ke"));
      audit::v1::AuditEntries entries;
      FillFromJson(page.dump(), entries);
      for (const auto& entry : entries.entries()) {
        if (const auto broken = verifier.Add(audit::FromProto(entry).value())) return broken->words;
      }
      request["pageToken"] = entries.next_page_token();
    } while (request["pageToken"] != "");
    const auto broken = verifier.Finish();
    return broken ? broken->words : "";
  }

  Programs programs_;
  AllMethods methods_{programs_};
  Belongings of_ke_;
  std::atomic<bool> stop_ = false;
  std::atomic<int> done_ = 0, failed_ = 0;
};

TEST_F(AuditDeath, KilledAtAnyMomentItLeavesAChangeAndItsEntryOrNeither) {
  std::minstd_rand random(9);
  {
    std::vector<std::jthread> writers;
    for (int i = 0; i < kWriters; ++i) writers.emplace_back([this, i] { Write(i); });
    for (int round = 0; round < kRounds; ++round) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20 + random() % 60));
      programs_.KillAndStartAgain(round % 2 == 0 ? "tenancy" : "scheduling");
    }
    stop_ = true;
  }
  const auto projects = Ask("SELECT 'tenants/ke/projects/' || id FROM tenancy.projects");
  EXPECT_EQ(projects, Entries("tenancy", "tenancy.projects.create"));
  const auto keys = Ask("SELECT 'tenants/ke/projects/' || project_id || '/apiKeys/' || kid FROM tenancy.api_keys");
  EXPECT_EQ(keys, Entries("tenancy", "tenancy.apiKeys.create"));
  const auto instances = Ask("SELECT name FROM scheduling.instances");
  EXPECT_EQ(instances, Entries("scheduling", "scheduling.instances.create"));
  for (const char* area : {"tenancy", "scheduling"}) EXPECT_EQ(Broken(area), "") << area;
  EXPECT_GT(done_, kRounds) << "it was in the midst of it";
  EXPECT_GT(failed_, kRounds);
  std::cout << fmt::format(
      "{} kills: {} changes answered, {} not; {} projects, {} keys, {} instances, each with its entry\n", kRounds,
      done_.load(), failed_.load(), projects.size(), keys.size(), instances.size());
}

}  // namespace
}  // namespace allod::audit_death_test
