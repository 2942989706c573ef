// `allod apply` against the services, on stores in memory: a plan refuses what applying would refuse, for the same
// reason.
#include "cli/apply/apply.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <thread>

#include "cli/kinds/registry.h"
#include "services/billing/billing_account_service.h"
#include "services/billing/price_book_service.h"
#include "services/billing/testing/fake_store.h"
#include "services/catalog/job_changes.h"
#include "services/catalog/listing_service.h"
#include "services/catalog/model_service.h"
#include "services/catalog/price_books.h"
#include "services/catalog/testing/fake_store.h"
#include "services/common/rpc/server.h"
#include "services/scheduling/drivers/process_driver.h"
#include "services/scheduling/grpc_peers.h"
#include "services/scheduling/instance_service.h"
#include "services/scheduling/node_service.h"
#include "services/scheduling/quotes/testing/fake_quote_store.h"
#include "services/scheduling/reconciler.h"
#include "services/scheduling/region_service.h"
#include "services/scheduling/testing/fake_region_store.h"
#include "services/scheduling/testing/fake_store.h"
#include "services/tenancy/project_service.h"
#include "services/tenancy/tenant_service.h"
#include "services/tenancy/testing/fake_store.h"
#include "tests/support/temp_dir.h"

namespace allod::cli::apply::apply_test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

using std::chrono::milliseconds;

// The four services where the command line looks for those of an installation.
class ApplyTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"tenancy", "billing", "catalog", "scheduling"}) {
      std::filesystem::create_directories(state_.run() / name);
    }
    Serve("tenancy", {&tenants_, &projects_});
    Serve("billing", {&accounts_, &books_});
    Serve("catalog", {&models_, &listings_});
    for (const auto& first : scheduling::FirstVersions({{"ke-1", "ke"}, {"tz-1", "tz"}})) {
      regions_.Put({*region_store_.AddVersion(first)});
    }
    Serve("scheduling", {&instances_, &nodes_, &region_service_});
    ImportModel();
    Must(kThere);
  }
  void TearDown() override {
    driver_.Stop();
    for (const auto& server : servers_) server->Stop(milliseconds(1000));
  }

  static std::string Doc(const std::string& kind, const std::string& name, const std::string& spec) {
    return "---\napiVersion: allod/v1\nkind: " + kind + "\nmetadata: {name: " + name + "}\nspec: {" + spec + "}\n";
  }
  static std::string Instance(const std::string& name, const std::string& more,
                              const std::string& region = "regions/ke-1") {
    return Doc("Instance", name,
               "listing: listings/l, variant: models/m/versions/v1/variants/source, region: " + region +
                   (more.empty() ? "" : ", " + more));
  }
  static std::string Listing(const std::string& name, const std::string& price,
                             const std::string& version = "models/m/versions/v1") {
    return Doc("Listing", name,
               "version: " + version + ", displayName: L, licenseTerms: MIT, prices: [{currencyCode: KES, " +
                   "promptPricePerMillion: \"" + price + "\", completionPricePerMillion: \"1\"}]");
  }

  Result<std::vector<Step>> Plan(const std::string& text) {
    ALLOD_TRY(auto documents, ParseManifest("m.yaml", text, ManifestKinds()));
    return PlanSteps(state_, std::move(documents));
  }
  // As if there were no plan: every document as a thing to create.
  Status ApplyUnjudged(const std::string& text) {
    ALLOD_TRY(auto documents, ParseManifest("m.yaml", text, ManifestKinds()));
    std::vector<Step> steps;
    for (auto& document : documents) {
      ALLOD_TRY(const kinds::ResourceKind* kind, kinds::FindKind(document.kind));
      auto current = kind->get(state_, document.name);
      const bool change = current && kind->update;
      steps.push_back({kind,
                       std::move(document),
                       change ? Action::kUpdate : Action::kCreate,
                       change ? *std::move(current) : nullptr,
                       {},
                       ""});
    }
    return CarryOut(state_, steps, /*wait=*/false);
  }
  void Must(const std::string& text) {
    const auto steps = Plan(text);
    ASSERT_TRUE(steps) << steps.error().message;
    const Status done = CarryOut(state_, *steps, /*wait=*/false);
    ASSERT_TRUE(done) << done.error().message;
  }

  // As if the reconciler had come to that.
  void SetState(const std::string& name, const scheduling::InstanceStatus& status) {
    const TenantId tenant = *TenantId::FromName(name);
    const auto instance = scheduling_.GetInstance(tenant, name);
    ASSERT_TRUE(instance) << instance.error().message;
    scheduling::Changes changes;
    changes.statuses.push_back({instance->id, instance->version, status});
    ASSERT_TRUE(scheduling_.Apply(tenant, changes));
  }

  inline static const std::string kThere =
      Doc("Tenant", "tenants/ke", "displayName: Kenya, currencyCode: KES, residency: [ke]") +
      Doc("Project", "tenants/ke/projects/p", "displayName: P") +
      Doc("BillingAccount", "tenants/ke/billingAccount", "creditLimit: \"100\"") +
      Listing("listings/l", "1", "models/m/versions/v1");

  // Where these services say that they stand: what they store of a tenant whose residency is elsewhere.
  inline static const std::string kStoredHere =
      "residencyRules: [{dataClass: USAGE, jurisdictions: [ke]}, {dataClass: INVOICES, jurisdictions: [ke]}, "
      "{dataClass: LOGS, jurisdictions: [ke]}, {dataClass: BACKUPS, jurisdictions: [ke]}]";

 private:
  void Serve(const std::string& name, std::vector<grpc::Service*> services) {
    auto server = Server::Start({.listen = state_.target(name)}, std::move(services));
    ASSERT_TRUE(server) << server.error().message;
    servers_.push_back(*std::move(server));
  }
  void ImportModel() {
    ASSERT_TRUE(catalog_.CreatePublisher({"x", "X", clock_.Now()}, {}));
    ASSERT_TRUE(catalog_.CreateModel({"m", "x", "M", "", clock_.Now()}, {}));
    catalog::Job job;
    job.id = Uuid::V7();
    job.target = {{"m", "v1"}, "source"};
    job.source_sha256 = std::string(64, 'a');
    job.compression = catalog::kSourceCompression;
    job.license = "MIT";
    ASSERT_TRUE(catalog_.StartJob(job, {}, std::nullopt));
    const auto lease = catalog_.LeaseJob("n", std::chrono::minutes(1), clock_.Now());
    ASSERT_TRUE(lease && lease->job);
    const catalog::InspectResult result{
        std::string(64, 'a'), 1200, {"llama", 1'000'000, 512, 4096, true, 1024}, {}, {{"F16", 4}}};
    ASSERT_TRUE(catalog_.FinishJob(job.id, lease->job->epoch, "n", result, clock_.Now()));
  }

  const TempDir dir_;

 protected:
  const installation::StateDir state_ = *installation::StateDir::Resolve(dir_.path());

 private:
  SystemClock clock_;
  tenancy::FakeStore tenancy_;
  tenancy::CallGates tenancy_gates_;
  tenancy::TenantFeed tenant_feed_{tenancy_};
  tenancy::TenantServiceImpl tenants_{tenancy_, tenant_feed_, clock_, tenancy_gates_, "ke", [](const auto&...) {}};
  tenancy::ProjectServiceImpl projects_{tenancy_, clock_, tenancy_gates_, [](const auto&...) {}};
  billing::FakeStore billing_;
  billing::CallGates billing_gates_;
  const std::unique_ptr<billing::TenantDirectory> directory_ = billing::MakeTenantDirectory(state_.target("tenancy"));
  billing::BillingAccountServiceImpl accounts_{billing_, *directory_, clock_, billing_gates_};
  billing::PriceBookServiceImpl books_{billing_, clock_, billing_gates_};
  catalog::FakeStore catalog_{clock_};
  catalog::CallGates catalog_gates_;
  catalog::GrpcPriceBooks price_books_{state_.target("billing")};
  catalog::ListingServiceImpl listings_{catalog_, price_books_, clock_, catalog_gates_};
  const BlobStore blobs_ = *BlobStore::Open(dir_ / "blobs");
  catalog::JobChanges jobs_changed_;
  catalog::ModelServiceImpl models_{catalog_, blobs_, jobs_changed_, clock_, catalog_gates_};
  scheduling::FakeStore scheduling_{clock_};
  scheduling::GrpcPeers peers_{state_.target("tenancy"), state_.target("catalog"), state_.target("billing")};
  ChangeSignal news_;
  scheduling::drivers::ProcessDriver driver_{std::chrono::seconds(6), news_};
  scheduling::FakeRegionStore region_store_{clock_};
  scheduling::RegionBoard regions_{news_};
  scheduling::FiguresBoard figures_;
  scheduling::TermsInbox terms_{news_};
  scheduling::Reconciler reconciler_{scheduling_, driver_, terms_, regions_, news_, clock_, {}};
  scheduling::CallGates scheduling_gates_;
  Watchers gateways_{"routes", 8};
  const scheduling::RouteVisibility visibility_{reconciler_.routes(), gateways_};
  scheduling::quotes::FakeQuoteStore quote_store_;
  scheduling::Acceptor acceptor_{peers_, quote_store_, regions_, clock_, {{}, 20, {}}};
  scheduling::InstanceServiceImpl instances_{scheduling_, peers_,
                                             figures_,    visibility_,
                                             clock_,      scheduling_gates_,
                                             acceptor_,   [](const TenantId&, const std::string&) {}};
  scheduling::NodeServiceImpl nodes_{scheduling_, driver_, figures_, clock_, regions_};
  scheduling::RegionServiceImpl region_service_{region_store_,        scheduling_, driver_, regions_,
                                                reconciler_.routes(), gateways_,   clock_,  scheduling_gates_};
  std::vector<std::unique_ptr<Server>> servers_;
};

TEST_F(ApplyTest, APlanRefusesWhatApplyingRefusesForTheSameReason) {
  const std::string instance = "tenants/ke/projects/p/instances/i";
  const std::string account = "tenants/ke/billingAccount";
  const std::string tenant = "displayName: X, residency: [ke], currencyCode: ";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"INVALID_SPEC", Instance(instance, "replicas: -1")},
      {"INVALID_SPEC", Instance(instance, "replicas: 1000000")},
      {"INVALID_SPEC", Instance(instance, "sleepAfterSeconds: -5")},
      {"INVALID_SPEC", Instance(instance, "maxConcurrency: 65")},
      {"INVALID_SPEC", Instance(instance, "contextTokens: 007")},
      {"CONTEXT_TOO_LONG", Instance(instance, "contextTokens: 4097")},
      {"PRICE_NOT_FOUND",
       Doc("Tenant", "tenants/tz", "displayName: T, currencyCode: TZS, residency: [tz], " + kStoredHere) +
           Doc("Project", "tenants/tz/projects/p", "displayName: P") +
           Doc("BillingAccount", "tenants/tz/billingAccount", "creditLimit: \"1\"") +
           Instance("tenants/tz/projects/p/instances/i", "", "regions/tz-1")},
      {"REGION_OUTSIDE_RESIDENCY", Instance(instance, "", "regions/tz-1")},
      {"UNKNOWN_REGION", Listing("listings/new", "1") + Instance(instance, "", "regions/none")},
      {"NOT_FOUND", Instance("tenants/ke/projects/none/instances/i", "")},
      {"INVALID_TEXT", Doc("Project", "tenants/ke/projects/q", "displayName: \"\"")},
      {"NOT_FOUND", Doc("Project", "tenants/none/projects/q", "displayName: Q")},
      {"UNKNOWN_CURRENCY", Doc("Tenant", "tenants/ug", tenant + "XQX")},
      {"UNKNOWN_COUNTRY", Doc("Tenant", "tenants/ug", "displayName: X, residency: [xq], currencyCode: KES")},
      {"RESIDENCY_REQUIRED", Doc("Tenant", "tenants/ug", "displayName: X, currencyCode: KES")},
      {"RESIDENCY", Doc("Tenant", "tenants/ug", "displayName: X, residency: [ug], currencyCode: KES")},
      {"INVALID_RESIDENCY_RULE", Doc("Tenant", "tenants/ug", tenant + "KES, residencyRules: [{dataClass: LOGS}]")},
      {"UNKNOWN_COUNTRY", Doc("Region", "regions/new", "jurisdiction: xq")},
      {"UNKNOWN_COUNTRY", Doc("Region", "regions/ke-1", "jurisdiction: xq")},
      {"INVALID_PRICE", Listing("listings/neg", "-12.50")},
      {"INVALID_PRICE", Listing("listings/exp", "1e400")},
      {"PRICE_OUT_OF_RANGE", Listing("listings/dear", "1000000001")},
      {"NOT_FOUND", Listing("listings/none", "1", "models/m/versions/none")},
      {"INVALID_AMOUNT", Doc("BillingAccount", account, "creditLimit: \"1e5\"")},
      {"INVALID_AMOUNT", Doc("BillingAccount", account, "creditLimit: \"" + std::string(38, '9') + "\"")},
      {"CREDIT_LIMIT_OUT_OF_RANGE", Doc("BillingAccount", account, "currencyCode: USD, creditLimit: \"-5\"")},
      {"CURRENCY_MISMATCH", Doc("BillingAccount", account, "currencyCode: USD, creditLimit: \"5\"")},
      // Also where the tenant itself is made by the same manifest.
      {"INVALID_AMOUNT", Doc("Tenant", "tenants/ug", tenant + "KES") +
                             Doc("BillingAccount", "tenants/ug/billingAccount", "creditLimit: \"1e5\"")},
      {"INVALID_SPEC", Doc("Tenant", "tenants/ug", tenant + "KES") +
                           Doc("Project", "tenants/ug/projects/p", "displayName: P") +
                           Instance("tenants/ug/projects/p/instances/i", "replicas: -1")},
  };
  for (const auto& [reason, text] : cases) {
    const auto planned = Plan(text);
    if (reason == "PRICE_NOT_FOUND") {
      // Nothing can be said of an instance whose project is not there.
      ASSERT_TRUE(planned) << planned.error().message;
      EXPECT_EQ(planned->back().awaits, "tenants/tz") << ToText(*planned);
      EXPECT_EQ(ApplyUnjudged(text).error().reason, reason);
      continue;
    }
    ASSERT_FALSE(planned) << reason << "\n" << text;
    const Status applied = ApplyUnjudged(text);
    ASSERT_FALSE(applied) << reason << "\n" << text;
    EXPECT_EQ(planned.error().reason, applied.error().reason) << text;
    EXPECT_THAT(applied.error().message, StartsWith(planned.error().message)) << text;
    EXPECT_EQ(planned.error().reason, reason) << planned.error().message;
  }
}

TEST_F(ApplyTest, APlanChangesNothingAndSaysWhatIsJudgedLater) {
  const std::string text = Doc("Tenant", "tenants/ug", "displayName: U, currencyCode: KES, residency: [ke]") +
                           Doc("Project", "tenants/ug/projects/p", "displayName: P") +
                           Doc("BillingAccount", "tenants/ug/billingAccount", "creditLimit: \"5\"") +
                           Listing("listings/new", "2") + Instance("tenants/ug/projects/p/instances/i", "replicas: 2");
  for (int i = 0; i < 2; ++i) {
    const auto steps = Plan(text);
    ASSERT_TRUE(steps) << steps.error().message;
    ASSERT_EQ(steps->size(), 5u);
    for (const Step& step : *steps) EXPECT_EQ(step.action, Action::kCreate) << "the plan before made nothing";
    EXPECT_EQ((*steps)[0].awaits, "");
    EXPECT_EQ((*steps)[1].awaits, "tenants/ug");
    EXPECT_EQ((*steps)[2].awaits, "tenants/ug");
    EXPECT_EQ((*steps)[3].awaits, "");
    EXPECT_NE(ToText(*steps).find("judged in full when tenants/ug is there"), std::string::npos) << ToText(*steps);
    EXPECT_NE(ToJson(*steps).find("\"judgedInFullAfter\": \"tenants/ug\""), std::string::npos) << ToJson(*steps);
  }
  Must(text);
  const auto again = Plan(text);
  ASSERT_TRUE(again) << again.error().message;
  for (const Step& step : *again) EXPECT_EQ(step.action, Action::kNothing) << step.document.name;
}

TEST_F(ApplyTest, ATenantIsChangedFieldByFieldAndSaysWhatThatStops) {
  const auto tenant = [](const std::string& residency, const std::string& more) {
    return Doc("Tenant", "tenants/ke", "displayName: Kenya, currencyCode: KES, residency: [" + residency + "]" + more);
  };
  const std::string away = Instance("tenants/ke/projects/p/instances/away", "", "regions/tz-1");
  const auto wider = Plan(tenant("ke, tz", ", weight: 3") + away);
  ASSERT_TRUE(wider) << wider.error().message;
  EXPECT_EQ((*wider)[0].action, Action::kUpdate);
  EXPECT_EQ((*wider)[0].changes, (std::vector<FieldChange>{{"residency", "ke", "ke,tz"}, {"weight", "1", "3"}}));
  EXPECT_TRUE((*wider)[0].stops.empty());
  EXPECT_EQ((*wider)[1].awaits, "tenants/ke") << "its region is allowed by the step before";
  Must(tenant("ke, tz", ", weight: 3") + away);
  EXPECT_EQ(Plan(tenant("ke, tz", ", weight: 3") + away)->at(0).action, Action::kNothing);

  const auto narrower = Plan(tenant("ke", ""));
  ASSERT_TRUE(narrower) << narrower.error().message;
  EXPECT_EQ(narrower->at(0).stops, std::vector<std::string>{"tenants/ke/projects/p/instances/away"});
  EXPECT_EQ(Stopping(*narrower), "this stops tenants/ke/projects/p/instances/away");
  EXPECT_NE(ToText(*narrower).find("weight: 3 -> 1; stops tenants/ke/projects/p/instances/away"), std::string::npos)
      << ToText(*narrower);
  EXPECT_NE(ToJson(*narrower).find("\"stops\""), std::string::npos);
  EXPECT_EQ(Stopping(*wider), "");

  const auto other = Plan(Doc("Tenant", "tenants/ke", "displayName: Kenya, currencyCode: USD, residency: [ke]"));
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().reason, "IMMUTABLE");
  EXPECT_THAT(other.error().message, StartsWith("m.yaml:"));
}

TEST_F(ApplyTest, ATenantsResidencyRulesAreAppliedAndSayWhatTheyStop) {
  const auto tenant = [](const std::string& more) {
    return Doc("Tenant", "tenants/ke", "displayName: Kenya, currencyCode: KES, residency: [ke, tz]" + more);
  };
  const std::string instance = Instance("tenants/ke/projects/p/instances/there", "", "regions/tz-1");
  Must(tenant(""));
  Must(instance);
  const std::string prompts = ", residencyRules: [{dataClass: PROMPTS, jurisdictions: [ke]}]";
  const auto plan = Plan(tenant(prompts));
  ASSERT_TRUE(plan) << plan.error().message;
  ASSERT_EQ(plan->at(0).changes.size(), 1U);
  EXPECT_EQ(plan->at(0).changes[0].field, "residencyRules");
  EXPECT_EQ(plan->at(0).stops, std::vector<std::string>{"tenants/ke/projects/p/instances/there"});
  const auto usage = Plan(tenant(", residencyRules: [{dataClass: USAGE, jurisdictions: [ke]}]"));
  ASSERT_TRUE(usage) << usage.error().message;
  EXPECT_TRUE(usage->at(0).stops.empty());
  const auto elsewhere = Plan(tenant(", residencyRules: [{dataClass: USAGE, jurisdictions: [tz]}]"));
  ASSERT_FALSE(elsewhere);
  EXPECT_EQ(elsewhere.error().reason, "RESIDENCY");
  EXPECT_THAT(elsewhere.error().message,
              HasSubstr("jurisdiction ke, outside the tenant's residency rule for USAGE (tz)"));
  Must(tenant(prompts));
  EXPECT_EQ(Plan(tenant(prompts))->at(0).action, Action::kNothing);
  const auto refused = Plan(Instance("tenants/ke/projects/p/instances/more", "", "regions/tz-1"));
  EXPECT_EQ(refused.error().reason, "REGION_OUTSIDE_RESIDENCY");
  EXPECT_THAT(refused.error().message, HasSubstr("residency rule for PROMPTS (ke)"));
}

TEST_F(ApplyTest, ARegionIsMadeAndChanged) {
  const auto made = Plan(Doc("Region", "regions/ug-1", "jurisdiction: ug, displayName: Kampala"));
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->at(0).action, Action::kCreate);
  Must(Doc("Region", "regions/ug-1", "jurisdiction: ug, displayName: Kampala"));
  const std::string moved = Doc("Region", "regions/ug-1", "jurisdiction: rw, displayName: Kampala");
  const auto plan = Plan(moved);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->at(0).changes, (std::vector<FieldChange>{{"jurisdiction", "ug", "rw"}}));
  EXPECT_TRUE(plan->at(0).stops.empty());
  Must(moved);
  EXPECT_EQ(Plan(moved)->at(0).action, Action::kNothing);
}

TEST_F(ApplyTest, AProjectIsChangedWithItsQuotaAndLimits) {
  const auto project = [](const std::string& requests) {
    return Doc("Project", "tenants/ke/projects/p",
               "displayName: Other, quota: {replicas: 3}, limits: {requestsPerMinute: " + requests +
                   "}, instanceLimits: [{instance: tenants/ke/projects/p/instances/a, limits: {concurrency: 2}}]");
  };
  const auto plan = Plan(project("60"));
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->at(0).action, Action::kUpdate);
  EXPECT_THAT(ToText(*plan), HasSubstr("replicas"));
  Must(project("60"));
  EXPECT_EQ(Plan(project("60"))->at(0).action, Action::kNothing);
  EXPECT_EQ(Plan(project("70"))->at(0).action, Action::kUpdate);
  EXPECT_EQ(Plan(project("-1")).error().reason, "INVALID_LIMITS");
  EXPECT_EQ(Plan(Instance("tenants/ke/projects/p/instances/big", "replicas: 1"))->at(0).action, Action::kCreate);
  const auto without = [](const std::string& more) {
    return Doc("Project", "tenants/ke/projects/p", "displayName: Other" + more);
  };
  EXPECT_EQ(Plan(without(""))->at(0).action, Action::kNothing) << "groups that are not named stay";
  for (const char* none : {"null", "{}"}) {
    const auto cleared = Plan(without(std::string(", limits: ") + none));
    ASSERT_TRUE(cleared) << cleared.error().message;
    EXPECT_THAT(ToText(*cleared), HasSubstr("limits: requests_per_minute: 60 -> "));
    EXPECT_THAT(ToText(*cleared), testing::Not(HasSubstr("replicas")));
  }
  Must(without(", limits: null, instanceLimits: []"));
  EXPECT_EQ(Plan(without(", limits: null, instanceLimits: null"))->at(0).action, Action::kNothing);
  EXPECT_EQ(Plan(without(", quota: {replicas: 3}"))->at(0).action, Action::kNothing) << "the quota was not named";
}

TEST_F(ApplyTest, WhatNeedsNoChangeIsWaitedForAndFailsWithItsReason) {
  using enum scheduling::InstanceState;
  const std::string name = "tenants/ke/projects/p/instances/i";
  Must(Instance(name, ""));
  const auto again = [&](scheduling::InstanceStatus status) -> Status {
    SetState(name, status);
    const auto plan = Plan(Instance(name, ""));
    EXPECT_TRUE(plan) << plan.error().message;
    EXPECT_EQ(plan->at(0).action, Action::kNothing);
    EXPECT_EQ(plan->at(0).unsettled.has_value(), status.state != kReady);
    EXPECT_EQ(ToText(*plan).find("not there yet") != std::string::npos, status.state != kReady) << ToText(*plan);
    EXPECT_EQ(ToJson(*plan).find("notThereYet") != std::string::npos, status.state != kReady);
    EXPECT_TRUE(CarryOut(state_, *plan, /*wait=*/false)) << "nobody waits for it";
    return CarryOut(state_, *plan, /*wait=*/true, milliseconds(200));
  };
  const Status failing = again({.state = kFailing, .message = "no node has room"});
  ASSERT_FALSE(failing);
  EXPECT_EQ(failing.error().code, Code::kFailedPrecondition);
  EXPECT_EQ(failing.error().reason, "INSTANCE_FAILING");
  EXPECT_THAT(failing.error().message, StartsWith("m.yaml:"));
  EXPECT_THAT(failing.error().message, HasSubstr(name + " is what the manifest says, but FAILING: no node has room"));
  EXPECT_EQ(again({.state = kStopped, .reason = "TENANT_SUSPENDED"}).error().reason, "TENANT_SUSPENDED");
  EXPECT_TRUE(again({.state = kReady, .observed_generation = 1}));

  // What is on its way is waited for, however long it takes.
  SetState(name, {.state = kProvisioning, .message = "0 of 1 replicas ready"});
  const auto plan = Plan(Instance(name, ""));
  ASSERT_TRUE(plan) << plan.error().message;
  std::jthread reconciler([&] {
    std::this_thread::sleep_for(milliseconds(600));
    SetState(name, {.state = kReady, .observed_generation = 1});
  });
  const Status waited = CarryOut(state_, *plan, /*wait=*/true, milliseconds(200));
  EXPECT_TRUE(waited) << waited.error().message;
}

TEST_F(ApplyTest, AFailureInTheMiddleSaysWhatWasDoneAndStays) {
  const Status done = ApplyUnjudged(Doc("Project", "tenants/ke/projects/q", "displayName: Q") +
                                    Doc("Project", "tenants/none/projects/q", "displayName: Q"));
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().message, HasSubstr("this was done, and stays: created tenants/ke/projects/q"));
}

}  // namespace
}  // namespace allod::cli::apply::apply_test
