// No tenant's data is anywhere but where the rules of its classes allow, whatever the installation looks like: regions
// that are missing, made later, of another jurisdiction or changed while things run there, nodes whose label is
// misspelt or changes or that stand elsewhere than their region, nodes that fall silent and come back, schedulers that
// start again, tenants whose residency or rules change. Looked at after every pass: what is stored, what the nodes are
// told, and where gateways are led, with what they are told of it.
//
// ALLOD_TEST_TOPOLOGIES gives another number of installations.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <random>

#include "services/scheduling/testing/reconciler_fixture.h"

namespace allod::scheduling::residency_test {
namespace {

int TopologiesAsked() {
  const char* asked = std::getenv("ALLOD_TEST_TOPOLOGIES");
  return asked == nullptr ? 3000 : std::atoi(asked);
}

struct Looked {
  std::size_t stored = 0, assigned = 0, routed = 0, refused = 0;
};

// One installation, made of a seed.
class Topology : public ReconcilerTest {
 public:
  Topology(unsigned seed, Looked& looked) : random_(seed), looked_(looked) {
    told_.clear();
    for (const char* name : {"tenants/ke", "tenants/tz"}) tenants_.push_back({*TenantId::FromName(name), name});
    Declare();
    Restart();
    for (const Of& tenant : tenants_) Tell(RandomTerms(tenant.id));
    const unsigned nodes = 1 + Below(4);
    for (unsigned i = 0; i < nodes; ++i) Label("n" + std::to_string(i));
    for (const Of& tenant : tenants_) {
      for (unsigned i = 0; i <= Below(2); ++i) Order(tenant, i);
    }
  }

  // Whatever happens, and what is looked at after each pass. False once something was found.
  bool Live(int steps) {
    for (int step = 0; step < steps; ++step) {
      Happen();
      clock_.Advance(seconds(1));
      const bool away = Below(12) == 0;
      store_.SetUnavailable(away);
      const bool done = reconciler_->RunOnce().has_value();
      store_.SetUnavailable(false);
      if (!Look(done)) return false;
      for (const auto& [node, session] : sessions_) {
        if (Below(4) > 0 && IsKnown(node)) Ready(node);
      }
    }
    return true;
  }

 private:
  struct Of {
    TenantId id;
    std::string name;
  };
  void TestBody() override {}
  unsigned Below(unsigned n) { return static_cast<unsigned>(random_() % n); }
  template <typename T>
  const T& Pick(const std::vector<T>& list) {
    return list[Below(static_cast<unsigned>(list.size()))];
  }

  // Regions as an operator might declare them: some are forgotten, and one may be in another country than its name
  // says.
  void Declare() {
    regions_.clear();
    for (const std::string& place : places_) {
      if (Below(5) == 0) continue;
      regions_.push_back({place + "-1", Below(6) == 0 ? Pick(places_) : place});
    }
    if (regions_.empty()) regions_ = {{"ke-1", "ke"}};
    versions_.clear();
  }
  // A new version of a region, or one that was forgotten, while everything runs.
  void ChangeRegion() {
    const std::string id = Pick(places_) + "-1";
    auto region = std::ranges::find(regions_, id, &scheduler::Region::id);
    if (region == regions_.end()) region = regions_.insert(regions_.end(), {id, ""});
    region->jurisdiction = Pick(places_);
    RegionVersion version = FirstVersions({*region}).front();
    version.version = versions_[id] = std::max<std::int64_t>(versions_[id], 1) + 1;
    board_->Put({version});
  }
  // A node joins, again perhaps, under a label that may be a mistake.
  void Label(const std::string& node) {
    static const std::vector<std::string> kMistakes = {"KE-1", "ke-1 ", "ke1",          "ke",  "tz-10",
                                                       "tz",   "",      "regions/ke-1", "ug-2"};
    const std::string region = Below(4) == 0 ? Pick(kMistakes) : Pick(places_) + "-1";
    // Most say what its label says; of some it is not known, and some stand elsewhere.
    std::string stands = region.substr(0, 2);
    if (std::ranges::find(places_, stands) == places_.end() || Below(5) == 0) stands = Pick(places_);
    if (Below(6) == 0) stands = "";
    const scheduler::Node joined{node,  region, scheduler::NodeState::kReady, {1000 * kMiB, 1000}, clock_.Now(),
                                 false, stands};
    const auto session = store_.JoinNode(joined);
    ASSERT_TRUE(session) << session.error().message;
    sessions_[node] = *session;
    label_[node] = region;
    stands_[node] = stands;
    ASSERT_TRUE(driver_->Join(joined, *session, clock_.Now()));
  }
  Jurisdictions SomePlaces() {
    Jurisdictions out;
    for (const std::string& place : places_) {
      if (Below(3) > 0) out.push_back(place);
    }
    if (out.empty()) out.push_back(Below(5) == 0 ? "KE" : Pick(places_));
    return out;
  }
  TenantTerms RandomTerms(const TenantId& tenant) {
    TenantTerms terms{tenant, Below(6) > 0, 1, {}};
    terms.residency.jurisdictions = SomePlaces();
    for (const DataClass data_class : kDataClasses) {
      if (Below(6) == 0) terms.residency.of_class[data_class] = SomePlaces();
    }
    return terms;
  }
  Revision RandomRevision() {
    Revision revision = MakeRevision("q4", 1 + static_cast<int>(Below(3)));
    revision.spec.region = Pick(places_) + "-1";
    revision.residency = places_;  // as it was once; what counts is what is told
    return revision;
  }
  void Order(const Of& tenant, unsigned n) {
    NewInstance instance = Wanted("i", 1);
    instance.tenant = tenant.id;
    instance.tenant_name = tenant.name;
    instance.name = tenant.name + "/projects/p/instances/i" + std::to_string(n);
    instance.revision = RandomRevision();
    ASSERT_TRUE(store_.CreateInstance(instance, {}));
    reconciler_->Wake(tenant.id);
  }

  void Happen() {
    const Of& tenant = Pick(tenants_);
    switch (Below(10)) {
      case 0:
      case 1:
        Tell(RandomTerms(tenant.id));
        break;
      case 2:  // tenancy no longer tells of it
        told_.erase(tenant.id);
        Tell(RandomTerms(tenants_[tenant.name == tenants_[0].name ? 1 : 0].id));
        break;
      case 3: {
        const auto instance = store_.GetInstance(tenant.id, tenant.name + "/projects/p/instances/i0");
        ASSERT_TRUE(instance);
        Revision next = RandomRevision();
        ASSERT_TRUE(store_.UpdateInstance({tenant.id, Uuid::V7(), instance->name, EtagOf(*instance), next}, {}));
        reconciler_->Wake(tenant.id);
        break;
      }
      case 4:
        Label(Pick(std::vector<std::string>{"n0", "n1", "n2", "n3"}));
        break;
      case 5:  // nodes were silent, and replicas are replaced
        clock_.Advance(seconds(40));
        break;
      case 6:  // another scheduler, to which the operator may have declared other regions
        if (Below(2) == 0) Declare();
        Restart();
        Tell(RandomTerms(tenant.id));
        break;
      case 7:
      case 8:
        ChangeRegion();
        break;
      default:
        break;
    }
  }

  bool IsKnown(const std::string& node) {
    return std::ranges::any_of(driver_->Capacity(clock_.Now()), [&](const auto& one) { return one.id == node; });
  }
  // By the tables of this test alone: where a node stands, if its region and it itself agree; else empty.
  std::string PlaceOf(const std::string& node) {
    const auto region = std::ranges::find(regions_, label_.at(node), &scheduler::Region::id);
    if (region == regions_.end()) return "";
    const std::string& stands = stands_.at(node);
    return stands == region->jurisdiction ? stands : "";
  }
  bool MayBe(const TenantId& tenant, const std::string& node) {
    const auto terms = told_.find(tenant);
    if (terms == told_.end() || !terms->second.active) return false;
    const std::string place = PlaceOf(node);
    for (const DataClass data_class : {DataClass::kWeights, DataClass::kKvCache, DataClass::kPrompts}) {
      const auto rule = terms->second.residency.of_class.find(data_class);
      const Jurisdictions& allowed =
          rule == terms->second.residency.of_class.end() ? terms->second.residency.jurisdictions : rule->second;
      if (place.empty() || std::ranges::find(allowed, place) == allowed.end()) return false;
    }
    return true;
  }

  // A pass that had no database changes no row; it unroutes all the same.
  bool Look(bool is_done) {
    bool sound = true;
    const auto check = [&](const TenantId& tenant, const std::string& node, const char* what, std::size_t& count) {
      ++count;
      if (MayBe(tenant, node)) return;
      sound = false;
      ADD_FAILURE() << what << " on " << node << " (region '" << label_.at(node) << "', stands in '" << stands_.at(node)
                    << "'), outside the residency";
    };
    if (const auto table = reconciler_->routes().Await(0, milliseconds(0)).value) {
      for (const Route& route : *table) {
        if (route.stopped) ++looked_.refused;
        EXPECT_EQ(route.targets.size(), route.target_jurisdictions.size());
        for (std::size_t i = 0; i < route.targets.size(); ++i) {
          const TenantId tenant = *TenantId::FromName(route.instance);
          const std::string node = route.targets[i].substr(6, route.targets[i].find('/', 6) - 6);
          check(tenant, node, "routed to", looked_.routed);
          // What the gateway asks again, it asks of the truth.
          EXPECT_EQ(route.target_jurisdictions[i], PlaceOf(node));
          EXPECT_EQ(route.residency, told_.at(tenant).residency);
        }
      }
    }
    if (!is_done) return sound;
    for (const auto& [node, session] : sessions_) {
      if (!IsKnown(node)) continue;
      for (const auto& worker : Assigned(node)) {
        check(worker.tenant, node, "assigned to", looked_.assigned);
        EXPECT_EQ(worker.residency, told_.at(worker.tenant).residency) << "by which the node asks again";
      }
    }
    for (const Of& tenant : tenants_) {
      for (int i = 0; i < 3; ++i) {
        const auto instance =
            store_.GetInstance(tenant.id, tenant.name + "/projects/p/instances/i" + std::to_string(i));
        if (!instance) continue;
        for (const Replica& replica : instance->replicas) {
          const auto state = replica.placement.state;
          // What is stopping has been taken away; of a node that this scheduler does not see nothing is known.
          if (state == ReplicaState::kStopping || state == ReplicaState::kStopped) continue;
          if (IsKnown(replica.placement.node)) check(tenant.id, replica.placement.node, "stored", looked_.stored);
        }
      }
    }
    return sound;
  }

  const std::vector<std::string> places_{"ke", "tz", "ug"};
  std::mt19937 random_;
  Looked& looked_;
  std::vector<Of> tenants_;
  std::map<std::string, std::string> label_;
  std::map<std::string, std::string> stands_;
  std::map<std::string, std::int64_t> versions_;  // of regions, where it is not the first
};

TEST(Residency, HoldsInEveryTopologyWithMistakesFailoversAndChanges) {
  const int asked = TopologiesAsked();
  ASSERT_GT(asked, 0) << "ALLOD_TEST_TOPOLOGIES is no number";
  Looked looked;
  for (int seed = 1; seed <= asked; ++seed) {
    ASSERT_TRUE(Topology(static_cast<unsigned>(seed), looked).Live(8)) << "topology " << seed;
  }
  const auto least = static_cast<std::size_t>(asked);
  EXPECT_GT(looked.stored, least) << "the test looked at something";
  EXPECT_GT(looked.assigned, least);
  EXPECT_GT(looked.routed, least / 2);
  EXPECT_GT(looked.refused, least);
  std::cout << asked << " topologies: " << looked.stored << " stored placements, " << looked.assigned << " assigned, "
            << looked.routed << " routed; " << looked.refused << " refusals; 0 outside the residency\n";
}

}  // namespace
}  // namespace allod::scheduling::residency_test
