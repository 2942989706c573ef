// What every catalog store does, run on the fake and on PostgreSQL as the app role. The marketplace belongs to no
// tenant, so there is no tenant B here.
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "services/catalog/pg_store.h"
#include "services/catalog/testing/fake_store.h"
#include "services/common/pg/pool.h"
#include "tests/support/fake_clock.h"
#include "tests/support/pg_fixture.h"

namespace allod::catalog::catalog_store_test {
namespace {

using namespace std::chrono_literals;

const std::string kSha(64, 'a');
const std::string kOtherSha(64, 'b');
const std::string kCanonicalSha(64, 'c');
const VersionKey kVersion{"habari", "1.0"};
const VariantKey kSource{kVersion, "source"};
const VariantKey kQ4{kVersion, "q4_k_m"};

// A lease of no length has run out at the next look, on any clock.
constexpr std::chrono::milliseconds kExpired{0};
constexpr std::chrono::milliseconds kLong{60'000};

struct PgBackend {
  TestDatabase database{"catalog"};
  PgPool pool{database.app_config()};
  PgStore store{pool};
};

RequestId Request(std::string_view payload, const Uuid& id = Uuid::V7()) {
  return *MakeRequestId(id.ToString(), "test", payload);
}

class CatalogStore : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "Fake") {
      fake_ = std::make_unique<FakeStore>(clock_);
    } else {
      pg_ = std::make_unique<PgBackend>();
    }
    ASSERT_TRUE(store().CreatePublisher({"allod", "Allod", clock_.Now()}, {}));
    ASSERT_TRUE(store().CreateModel(Habari(), {}));
  }
  Store& store() { return fake_ ? static_cast<Store&>(*fake_) : pg_->store; }

  Model Habari() const { return {"habari", "allod", "Habari", "Answers.\nIn two languages.", clock_.Now()}; }
  Job Inspection() {
    clock_.Advance(1ms);
    Job job;
    job.id = Uuid::V7(clock_.Now());
    job.target = kSource;
    job.source_sha256 = kSha;
    job.compression = kSourceCompression;
    job.license = "Apache-2.0";
    job.create_time = job.update_time = clock_.Now();
    return job;
  }
  Job Compression() {
    Job job = Inspection();
    job.kind = JobKind::kCompress;
    job.target = kQ4;
    job.source_sha256.clear();
    job.compression = "Q4_K_M";
    job.license.clear();
    return job;
  }
  QualityReport Quality() const {
    return {1000, 4.83,   12.345678901234567, 12.1,        0.0123456789, 0.97, 512, kOtherSha,
            55.5, 900.25, "ke-node",          clock_.Now()};
  }
  InspectResult Inspected() const {
    return {kCanonicalSha, 1200, {"llama", 10'000'000, 512, 4096, true, 65'536}, Quality(), {{"F16", 40}, {"F32", 9}}};
  }
  CompressResult Compressed() const { return {kOtherSha, 700, Quality(), {{"Q4_K", 30}, {"Q6_K", 10}}}; }

  // Runs the version's inspection to its end.
  void ImportVersion() {
    const auto started = store().StartJob(Inspection(), {});
    ASSERT_TRUE(started) << started.error().message;
    const auto lease = store().LeaseJob("n1", kLong, clock_.Now());
    ASSERT_TRUE(lease && lease->job);
    const auto finished = store().FinishJob(lease->job->id, lease->job->epoch, "n1", Inspected(), clock_.Now());
    ASSERT_TRUE(finished) << finished.error().message;
  }
  Listing Offer() {
    Listing listing;
    listing.id = "habari-ke";
    listing.version = kVersion;
    listing.display_name = "Habari for Kenya";
    listing.license_terms = "Apache-2.0";
    listing.territory = {"ke", "ug"};
    listing.prices = {{"KES", "", Amount::FromPico(20'000'000), Amount::FromPico(60'000'000)},
                      {"KES", "", Amount::FromPico(5), Amount::FromPico(6), "pooled"},
                      {"KES", "source", Amount::FromPico(1), Amount::FromPico(0)}};
    listing.price_book = Uuid::V7();
    listing.create_time = clock_.Now();
    return listing;
  }

  FakeClock clock_;
  std::unique_ptr<FakeStore> fake_;
  std::unique_ptr<PgBackend> pg_;
};

INSTANTIATE_TEST_SUITE_P(Stores, CatalogStore, testing::Values("Fake", "PostgreSQL"),
                         [](const auto& test) { return test.param; });

TEST_P(CatalogStore, CreatesAModelOnceAndRefusesOtherContent) {
  ASSERT_TRUE(store().CreateModel(Habari(), {}));
  EXPECT_EQ(store().GetModel("habari")->description, Habari().description);
  Model other = Habari();
  other.display_name = "Other";
  EXPECT_EQ(store().CreateModel(other, {}).error().reason, "ALREADY_EXISTS");
  other.id = "other";
  other.publisher = "nobody";
  EXPECT_EQ(store().CreateModel(other, {}).error().code, Code::kNotFound);
}

TEST_P(CatalogStore, RefusesARequestIdThatWasUsedForAnotherRequest) {
  const Uuid id = Uuid::V7();
  ASSERT_TRUE(store().CreatePublisher({"p", "P", clock_.Now()}, Request("p", id)));
  ASSERT_TRUE(store().CreatePublisher({"p", "P", clock_.Now()}, Request("p", id)));
  EXPECT_EQ(store().CreatePublisher({"q", "Q", clock_.Now()}, Request("q", id)).error().reason, "REQUEST_ID_REUSED");
  EXPECT_EQ(store().ListPublishers({"p", 10, ""})->items.size(), 2u);
}

TEST_P(CatalogStore, ListsByIdPageByPage) {
  Model second = Habari();
  second.id = "abari";
  ASSERT_TRUE(store().CreateModel(second, {}));
  const auto first = store().ListModels({"models", 1, ""});
  ASSERT_EQ(first->items.size(), 1u);
  EXPECT_EQ(first->items[0].id, "abari");
  const auto rest = store().ListModels(*ParsePage("models", 1, first->next_page_token));
  ASSERT_EQ(rest->items.size(), 1u);
  EXPECT_EQ(rest->items[0].id, "habari");
  EXPECT_EQ(rest->next_page_token, "");
}

TEST_P(CatalogStore, AVersionAppearsWithItsSourceVariantOnlyWhenTheInspectionSucceeds) {
  const auto started = store().StartJob(Inspection(), {});
  ASSERT_TRUE(started);
  EXPECT_EQ(store().GetVersion(kVersion).error().code, Code::kNotFound);
  const auto lease = store().LeaseJob("n1", kLong, clock_.Now());
  ASSERT_TRUE(lease && lease->job);
  EXPECT_EQ(lease->job->id, started->job.id);
  EXPECT_EQ(lease->job->epoch, 1);
  ASSERT_TRUE(store().FinishJob(lease->job->id, 1, "n1", Inspected(), clock_.Now()));

  const auto version = store().GetVersion(kVersion);
  ASSERT_TRUE(version);
  EXPECT_EQ(version->license, "Apache-2.0");
  EXPECT_EQ(version->source_sha256, kSha) << "of the upload";
  EXPECT_EQ(version->facts, Inspected().facts);
  const auto variant = store().GetVariant(kSource);
  ASSERT_TRUE(variant);
  EXPECT_EQ(variant->compression, "SOURCE");
  EXPECT_EQ(variant->artifact_sha256, kCanonicalSha) << "what is loaded";
  EXPECT_TRUE(*store().ArtifactInUse(kSha));
  EXPECT_TRUE(*store().ArtifactInUse(kCanonicalSha));
  EXPECT_EQ(variant->artifact_bytes, 1200);
  EXPECT_EQ(variant->quality, Quality());
  EXPECT_EQ(variant->tensor_types, Inspected().tensor_types);
  const auto operation = store().GetOperation(started->job.id);
  EXPECT_EQ(operation->job.state, JobState::kSucceeded);
  ASSERT_TRUE(operation->version);
  EXPECT_EQ(operation->version->key, kVersion);
}

TEST_P(CatalogStore, AFailedInspectionLeavesNoVersionAndMakesRoomForAnother) {
  const auto started = store().StartJob(Inspection(), {});
  const auto lease = store().LeaseJob("n1", kLong, clock_.Now());
  const Error why{Code::kInvalidArgument, "INVALID_MODEL", "tensor 3 lies outside the file"};
  ASSERT_TRUE(store().FinishJob(started->job.id, lease->job->epoch, "n1", why, clock_.Now()));
  EXPECT_EQ(store().GetVersion(kVersion).error().code, Code::kNotFound);
  EXPECT_EQ(store().GetOperation(started->job.id)->job.error, why);
  EXPECT_FALSE(*store().ArtifactInUse(kSha));
  const auto next = store().StartJob(Inspection(), {});
  ASSERT_TRUE(next);
  EXPECT_NE(next->job.id, started->job.id);
}

TEST_P(CatalogStore, AModelThatComesWithItsVersionIsMadeWithItOrNotAtAll) {
  Job job = Inspection();
  job.target.version.model = "jambo";
  job.new_model = Model{"jambo", "nobody", "Jambo", "", job.create_time};
  EXPECT_EQ(store().StartJob(job, {}).error().code, Code::kNotFound);

  job.new_model->publisher = "allod";
  ASSERT_TRUE(store().StartJob(job, {}));
  auto lease = store().LeaseJob("n1", kLong, clock_.Now());
  EXPECT_EQ(lease->job->new_model->display_name, "Jambo");
  const Error why{Code::kInvalidArgument, "INVALID_MODEL", "tensor 3 lies outside the file"};
  ASSERT_TRUE(store().FinishJob(job.id, lease->job->epoch, "n1", why, clock_.Now()));
  EXPECT_EQ(store().GetModel("jambo").error().code, Code::kNotFound);

  job.id = Uuid::V7(clock_.Now());
  ASSERT_TRUE(store().StartJob(job, {}));
  lease = store().LeaseJob("n1", kLong, clock_.Now());
  ASSERT_TRUE(store().FinishJob(job.id, lease->job->epoch, "n1", Inspected(), clock_.Now()));
  EXPECT_EQ(store().GetModel("jambo")->publisher, "allod");
  EXPECT_TRUE(store().GetVersion(job.target.version));
}

TEST_P(CatalogStore, IdenticalRequestsShareOneJobAlsoAfterItEnded) {
  const auto first = store().StartJob(Inspection(), {});
  EXPECT_EQ(store().StartJob(Inspection(), {})->job.id, first->job.id);
  Job other = Inspection();
  other.license = "MIT";
  EXPECT_EQ(store().StartJob(other, {}).error().reason, "ALREADY_EXISTS");
  const auto lease = store().LeaseJob("n1", kLong, clock_.Now());
  ASSERT_TRUE(store().FinishJob(first->job.id, lease->job->epoch, "n1", Inspected(), clock_.Now()));
  const auto again = store().StartJob(Inspection(), {});
  EXPECT_EQ(again->job.id, first->job.id);
  EXPECT_TRUE(again->version);
}

TEST_P(CatalogStore, ConcurrentIdenticalCompressionsShareOneJob) {
  ImportVersion();
  std::vector<Job> jobs(4, Compression());
  for (Job& job : jobs) job.id = Uuid::V7();
  std::vector<Result<Operation>> out(jobs.size(), Internal("did not run"));
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      threads.emplace_back([&, i] { out[i] = store().StartJob(jobs[i], Request("q4")); });
    }
  }
  for (const auto& operation : out) {
    ASSERT_TRUE(operation) << operation.error().message;
    EXPECT_EQ(operation->job.id, out[0]->job.id);
    EXPECT_EQ(operation->job.source_sha256, kCanonicalSha) << "the source variant's artifact";
  }
  EXPECT_TRUE(store().LeaseJob("n1", kLong, clock_.Now())->job);
  EXPECT_FALSE(store().LeaseJob("n2", kLong, clock_.Now())->job);
}

TEST_P(CatalogStore, ARetriedRequestGetsItsOwnOperationEvenWhenThatFailed) {
  const RequestId request = Request("v");
  const auto started = store().StartJob(Inspection(), request);
  const auto lease = store().LeaseJob("n1", kLong, clock_.Now());
  ASSERT_TRUE(
      store().FinishJob(started->job.id, lease->job->epoch, "n1", Error{Code::kInternal, "X", "y"}, clock_.Now()));
  const Error refusal{Code::kFailedPrecondition, "ARTIFACT_NOT_FOUND", "upload it first"};
  const auto retried = store().StartJob(Inspection(), request, refusal);
  ASSERT_TRUE(retried);
  EXPECT_EQ(retried->job.id, started->job.id);
  EXPECT_EQ(store().StartJob(Inspection(), Request("v"), refusal).error(), refusal);
}

TEST_P(CatalogStore, CompressesOnlyVersionsThatExist) {
  EXPECT_EQ(store().StartJob(Compression(), {}).error().code, Code::kNotFound);
  Job job = Inspection();
  job.target.version.model = "nothing";
  EXPECT_EQ(store().StartJob(job, {}).error().code, Code::kNotFound);
}

TEST_P(CatalogStore, ACompressionMakesAVariant) {
  ImportVersion();
  const auto started = store().StartJob(Compression(), {});
  const auto lease = store().LeaseJob("n1", kLong, clock_.Now());
  ASSERT_TRUE(store().ReportJob(started->job.id, 1, "n1", "quantising", 0.5, kLong, clock_.Now()));
  EXPECT_EQ(store().GetOperation(started->job.id)->job.phase, "quantising");
  EXPECT_EQ(store().GetOperation(started->job.id)->job.progress, 0.5);
  ASSERT_TRUE(store().FinishJob(started->job.id, lease->job->epoch, "n1", Compressed(), clock_.Now()));
  const auto variant = store().GetVariant(kQ4);
  ASSERT_TRUE(variant);
  EXPECT_EQ(variant->artifact_sha256, kOtherSha);
  EXPECT_EQ(variant->compression, "Q4_K_M");
  EXPECT_EQ(store().ListVariants(kVersion, {"v", 10, ""})->items.size(), 2u);
  EXPECT_TRUE(store().GetOperation(started->job.id)->variant);
}

TEST_P(CatalogStore, AnExpiredLeaseGoesToAnotherNodeAndTheFirstLosesIt) {
  const auto started = store().StartJob(Inspection(), {});
  const auto first = store().LeaseJob("n1", kExpired, clock_.Now());
  ASSERT_TRUE(first->job);
  const auto second = store().LeaseJob("n2", kLong, clock_.Now());
  ASSERT_TRUE(second->job);
  EXPECT_EQ(second->job->epoch, 2);
  const Uuid id = started->job.id;
  EXPECT_EQ(store().ReportJob(id, 1, "n1", "late", 0.1, kLong, clock_.Now()).error().reason, "LEASE_LOST");
  EXPECT_EQ(store().FinishJob(id, 1, "n1", Inspected(), clock_.Now()).error().code, Code::kAborted);
  EXPECT_EQ(store().FinishJob(id, 2, "n1", Inspected(), clock_.Now()).error().reason, "LEASE_LOST");
  EXPECT_TRUE(store().FinishJob(id, 2, "n2", Inspected(), clock_.Now()));
}

TEST_P(CatalogStore, AReportRenewsTheLease) {
  const auto started = store().StartJob(Inspection(), {});
  ASSERT_TRUE(store().LeaseJob("n1", kExpired, clock_.Now())->job);
  ASSERT_TRUE(store().ReportJob(started->job.id, 1, "n1", "validating", 0.2, kLong, clock_.Now()));
  EXPECT_FALSE(store().LeaseJob("n2", kLong, clock_.Now())->job);
}

TEST_P(CatalogStore, FinishingTwiceUnderTheSameEpochChangesNothing) {
  const auto started = store().StartJob(Inspection(), {});
  ASSERT_TRUE(store().LeaseJob("n1", kLong, clock_.Now())->job);
  ASSERT_TRUE(store().FinishJob(started->job.id, 1, "n1", Inspected(), clock_.Now()));
  const auto again = store().FinishJob(started->job.id, 1, "n1", Error{Code::kInternal, "X", "y"}, clock_.Now());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->state, JobState::kSucceeded);
  EXPECT_EQ(store().ReportJob(started->job.id, 1, "n1", "late", 1, kLong, clock_.Now()).error().reason, "LEASE_LOST");
}

TEST_P(CatalogStore, AJobThatNobodyFinishesFailsAfterAFixedNumberOfLeases) {
  const auto started = store().StartJob(Inspection(), {});
  for (int i = 1; i <= kAttemptsMax; ++i) {
    ASSERT_TRUE(store().LeaseJob("n1", kExpired, clock_.Now())->job) << i;
  }
  const auto lease = store().LeaseJob("n1", kExpired, clock_.Now());
  EXPECT_FALSE(lease->job);
  ASSERT_EQ(lease->exhausted.size(), 1u);
  EXPECT_EQ(lease->exhausted[0].id, started->job.id);
  const auto operation = store().GetOperation(started->job.id);
  EXPECT_EQ(operation->job.state, JobState::kFailed);
  EXPECT_EQ(operation->job.error->reason, "JOB_ATTEMPTS_EXHAUSTED");
}

TEST_P(CatalogStore, ConcurrentNodesNeverLeaseTheSameJob) {
  ImportVersion();
  for (const char* id : {"q8_0", "q6_k", "q4_0"}) {
    Job job = Compression();
    job.target.variant = id;
    ASSERT_TRUE(store().StartJob(job, {}));
  }
  std::vector<Result<Lease>> out(6, Internal("did not run"));
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < out.size(); ++i) {
      threads.emplace_back([&, i] { out[i] = store().LeaseJob("n" + std::to_string(i), kLong, clock_.Now()); });
    }
  }
  std::vector<Uuid> leased;
  for (const auto& lease : out) {
    ASSERT_TRUE(lease);
    if (lease->job) leased.push_back(lease->job->id);
  }
  // A node that met a locked row went away with nothing; what is left is leased by the next to ask.
  while (const auto job = store().LeaseJob("last", kLong, clock_.Now())->job) leased.push_back(job->id);
  std::ranges::sort(leased);
  EXPECT_EQ(leased.size(), 3u);
  EXPECT_EQ(std::ranges::adjacent_find(leased), leased.end());
}

TEST_P(CatalogStore, KnowsWhichArtifactsAreInUse) {
  EXPECT_FALSE(*store().ArtifactInUse(kSha));
  ASSERT_TRUE(store().StartJob(Inspection(), {}));
  EXPECT_TRUE(*store().ArtifactInUse(kSha));
  const auto lease = store().LeaseJob("n1", kLong, clock_.Now());
  ASSERT_TRUE(store().FinishJob(lease->job->id, 1, "n1", Inspected(), clock_.Now()));
  EXPECT_TRUE(*store().ArtifactInUse(kSha));
  EXPECT_FALSE(*store().ArtifactInUse(kOtherSha));
}

TEST_P(CatalogStore, ListsOperationsInTheOrderOfTheirIds) {
  ImportVersion();
  const auto second = store().StartJob(Compression(), {});
  const auto page = store().ListOperations({"o", 1, ""});
  ASSERT_EQ(page->items.size(), 1u);
  EXPECT_TRUE(page->items[0].version);
  const auto rest = store().ListOperations(*ParsePage("o", 10, page->next_page_token));
  ASSERT_EQ(rest->items.size(), 1u);
  EXPECT_EQ(rest->items[0].job.id, second->job.id);
}

TEST_P(CatalogStore, AListingIsHiddenUntilItIsActive) {
  ImportVersion();
  const Listing offer = Offer();
  const auto prepared = store().PrepareListing(offer, {});
  ASSERT_TRUE(prepared) << prepared.error().message;
  EXPECT_EQ(prepared->price_book, offer.price_book);
  EXPECT_EQ(store().GetListing(offer.id).error().code, Code::kNotFound);
  EXPECT_TRUE(store().ListListings({"l", 10, ""})->items.empty());
  const auto active = store().ActivateListing(offer.id, offer.price_book);
  ASSERT_TRUE(active);
  EXPECT_EQ(active->state, ListingState::kActive);
  const auto read = store().GetListing(offer.id);
  ASSERT_TRUE(read);
  EXPECT_TRUE(SameContent(*read, offer));
  EXPECT_EQ(store().ListListings({"l", 10, ""})->items.size(), 1u);
}

TEST_P(CatalogStore, ARetriedListingKeepsItsFirstPriceBook) {
  ImportVersion();
  const Listing first = Offer();
  const Listing retry = Offer();
  ASSERT_NE(first.price_book, retry.price_book);
  const RequestId request = Request("l");
  ASSERT_TRUE(store().PrepareListing(first, request));
  EXPECT_EQ(store().PrepareListing(retry, request)->price_book, first.price_book);
  ASSERT_TRUE(store().ActivateListing(first.id, first.price_book));
  const auto again = store().PrepareListing(retry, request);
  EXPECT_EQ(again->state, ListingState::kActive);
  EXPECT_EQ(again->price_book, first.price_book);
}

TEST_P(CatalogStore, OnlyAPendingListingGivesWayToOtherContent) {
  ImportVersion();
  const Listing first = Offer();
  ASSERT_TRUE(store().PrepareListing(first, {}));
  Listing second = Offer();
  second.prices[0].prompt = Amount::FromPico(5);
  second.prices[0].instance_second = Amount::FromPico(1'000'000'000);
  second.territory = {};
  ASSERT_TRUE(store().PrepareListing(second, {}));
  EXPECT_EQ(store().ActivateListing(first.id, first.price_book).error().reason, "LISTING_REPLACED");
  const auto active = store().ActivateListing(second.id, second.price_book);
  ASSERT_TRUE(active);
  EXPECT_EQ(active->prices, second.prices);
  EXPECT_EQ(store().PrepareListing(Offer(), {}).error().reason, "ALREADY_EXISTS");
}

TEST_P(CatalogStore, ListsOnlyVersionsAndVariantsThatExist) {
  EXPECT_EQ(store().PrepareListing(Offer(), {}).error().code, Code::kNotFound);
  ImportVersion();
  Listing offer = Offer();
  offer.prices[2].variant_id = "q2_k";
  EXPECT_EQ(store().PrepareListing(offer, {}).error().reason, "UNKNOWN_VARIANT");
}

}  // namespace
}  // namespace allod::catalog::catalog_store_test
