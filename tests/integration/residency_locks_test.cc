// Each of the locks on its own, with those before it lying: what tenancy stores, what a gateway sends to whom and takes
// itself, and what a node runs. 100,000 random tenants, each with an installation, a scheduler that places and routes
// anywhere, and labels of any kind; held against tables of this test alone. 0 stored, sent, taken or run outside.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <random>

#include "gateway/serving/routes.h"
#include "inference/node/convert.h"
#include "services/common/owned_fd.h"
#include "services/common/rpc/residency.h"
#include "services/tenancy/home.h"

namespace allod::residency_locks_test {
namespace {

constexpr int kCases = 100'000;
constexpr char kInstance[] = "tenants/ke/projects/p/instances/i";

class Dice {
 public:
  unsigned Below(unsigned n) { return static_cast<unsigned>(random_() % n); }
  // Where something is said to stand: mistakes are among them.
  const std::string& Place() { return places_[Below(static_cast<unsigned>(places_.size()))]; }
  Jurisdictions Allowed() {
    Jurisdictions out;
    for (const char* country : {"ke", "tz", "ug", "rw"}) {
      if (Below(2) == 0) out.emplace_back(country);
    }
    return out;  // of none, too
  }
  ResidencyRules Rules() {
    ResidencyRules out{Allowed()};
    for (const DataClass data_class : kDataClasses) {
      if (Below(4) == 0) out.of_class[data_class] = Allowed();
    }
    return out;
  }

 private:
  std::mt19937 random_{20'260'101};
  const std::vector<std::string> places_{"ke", "tz", "ug", "rw", "ke", "tz", "", "KE", "ke ", "zz", "kenya"};
};

// What is left out is logged, line by line: not a hundred thousand times here.
class Silence {
 public:
  Silence() { ::dup2(null_.get(), STDERR_FILENO); }
  ~Silence() { ::dup2(before_.get(), STDERR_FILENO); }
  Silence(const Silence&) = delete;

 private:
  const OwnedFd before_{::dup(STDERR_FILENO)};
  const OwnedFd null_{::open("/dev/null", O_WRONLY | O_CLOEXEC)};
};

// By what is promised, not by the function that is under test.
bool MayBe(const ResidencyRules& rules, std::initializer_list<DataClass> classes, const std::string& place) {
  return std::ranges::all_of(classes, [&](DataClass data_class) {
    const auto own = rules.of_class.find(data_class);
    const Jurisdictions& allowed = own == rules.of_class.end() ? rules.jurisdictions : own->second;
    return std::ranges::count(allowed, place) > 0;
  });
}

TEST(ResidencyLocks, NothingIsStoredOutside) {
  Dice dice;
  int stored = 0, refused = 0;
  for (int i = 0; i < kCases; ++i) {
    const ResidencyRules rules = dice.Rules();
    tenancy::Tenant tenant{.id = "ke", .residency = rules.jurisdictions};
    tenant.residency_rules = rules.of_class;
    const std::string& home = dice.Place();
    const bool may =
        MayBe(rules, {DataClass::kLogs, DataClass::kUsage, DataClass::kInvoices, DataClass::kBackups}, home);
    const Status checked = tenancy::CheckHome(tenant, home);
    ASSERT_EQ(checked.has_value(), may) << i << ": home " << home;
    ++(may ? stored : refused);
    EXPECT_EQ(may ? "RESIDENCY" : checked.error().reason, "RESIDENCY");
  }
  EXPECT_GT(stored, kCases / 100);
  EXPECT_GT(refused, kCases / 10);
  std::cout << stored << " tenants stored, " << refused << " refused; 0 stored outside\n";
}

TEST(ResidencyLocks, NothingIsSentOutsideWhateverTheSchedulerRoutes) {
  Dice dice;
  const Silence silence;
  gateway::serving::RouteTable table;
  std::size_t sent = 0, left_out = 0;
  for (int i = 0; i < kCases; ++i) {
    const ResidencyRules rules = dice.Rules();
    scheduling::v1::WatchRoutesResponse message;
    scheduling::v1::Route& route = *message.add_routes();
    route.set_instance(kInstance);
    if (dice.Below(20) > 0) *route.mutable_residency() = ToProto(rules);
    std::vector<std::string> allowed;
    const unsigned targets = dice.Below(5);
    unsigned ready_allowed = 0;
    route.set_ready_target_count(static_cast<int>(dice.Below(targets + 1)));
    for (unsigned t = 0; t < targets; ++t) {
      const std::string& place = dice.Place();
      const std::string target = "unix:/" + std::to_string(t);
      route.add_targets(target);
      route.add_target_jurisdictions(place);
      const bool may = route.has_residency() && MayBe(rules, {DataClass::kPrompts, DataClass::kKvCache}, place);
      if (may) allowed.push_back(target);
      if (may && std::cmp_less(t, route.ready_target_count())) ++ready_allowed;
      if (!may) ++left_out;
    }
    table.Apply(message);
    const auto entry = table.Find(kInstance);
    std::vector<std::string> routed;
    for (const auto& replica : entry->replicas) routed.push_back(replica->target);
    ASSERT_EQ(routed, allowed) << i;
    ASSERT_EQ(entry->ready_count, ready_allowed) << i;
    ASSERT_EQ(entry->residency, route.has_residency() ? rules : ResidencyRules()) << "what the gateway asks of itself";
    sent += routed.size();
  }
  EXPECT_GT(sent, kCases / 10U);
  EXPECT_GT(left_out, kCases / 10U);
  std::cout << sent << " targets routed to, " << left_out << " left out; 0 outside\n";
}

TEST(ResidencyLocks, NothingRunsOutsideWhateverTheSchedulerAssigns) {
  Dice dice;
  int ran = 0, refused = 0;
  for (int i = 0; i < kCases; ++i) {
    const ResidencyRules rules = dice.Rules();
    scheduling::v1::Assignment assignment;
    assignment.set_replica_uid("01900000-0000-7000-8000-00000000abcd");
    assignment.set_instance(kInstance);
    assignment.set_artifact_sha256(std::string(64, 'a'));
    assignment.set_tenant_uid("01900000-0000-5000-8000-0000000000aa");
    assignment.set_max_concurrency(4);
    assignment.set_isolation_class(scheduling::v1::ISOLATION_CLASS_ISOLATED);
    if (dice.Below(20) > 0) *assignment.mutable_residency() = ToProto(rules);
    const std::string& place = dice.Place();
    const bool may = assignment.has_residency() &&
                     MayBe(rules, {DataClass::kWeights, DataClass::kKvCache, DataClass::kPrompts}, place);
    const auto worker = inference::node::FromProto(assignment, place);
    ASSERT_EQ(worker.has_value(), may) << i << ": " << place;
    ++(may ? ran : refused);
    EXPECT_EQ(may ? "RESIDENCY" : worker.error().reason, "RESIDENCY");
  }
  EXPECT_GT(ran, kCases / 100);
  EXPECT_GT(refused, kCases / 10);
  std::cout << ran << " assignments taken, " << refused << " refused; 0 taken outside\n";
}

}  // namespace
}  // namespace allod::residency_locks_test
