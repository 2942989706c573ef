// The RPCs over a real server and channel, on the fake store and a real artifact directory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "services/catalog/artifact_service.h"
#include "services/catalog/job_service.h"
#include "services/catalog/listing_service.h"
#include "services/catalog/model_service.h"
#include "services/catalog/operation_service.h"
#include "services/catalog/testing/fake_store.h"
#include "services/common/digest.h"
#include "services/common/rpc/client.h"
#include "services/common/rpc/server.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace allod::catalog::service_test {
namespace {

using namespace std::chrono_literals;
using google::longrunning::Operations;
using LongRunning = google::longrunning::Operation;

class FakePriceBooks final : public PriceBooks {
 public:
  Status Create(const Listing& listing) override {
    created.push_back(listing.price_book);
    return answer;
  }
  std::vector<Uuid> created;
  Status answer;
};

class CatalogServiceTest : public testing::Test {
 protected:
  void SetUp() override {
    auto server =
        Server::Start({.listen = address_}, {&publishers_, &models_, &listings_, &artifacts_, &jobs_, &operations_});
    ASSERT_TRUE(server) << server.error().message;
    server_ = *std::move(server);
    channel_ = MakeChannel(address_);
    v1::CreatePublisherRequest publisher;
    publisher.set_publisher_id("allod");
    publisher.mutable_publisher()->set_display_name("Allod");
    ASSERT_TRUE(Do<v1::PublisherService>(&v1::PublisherService::Stub::CreatePublisher, publisher));
    v1::CreateModelRequest model;
    model.set_model_id("habari");
    model.mutable_model()->set_publisher("publishers/allod");
    model.mutable_model()->set_display_name("Habari");
    ASSERT_TRUE(Do<v1::ModelService>(&v1::ModelService::Stub::CreateModel, model));
  }
  void TearDown() override {
    jobs_changed_.Stop();
    server_->Stop(1s);
  }

  template <typename Service, typename Req, typename Resp>
  Result<Resp> Do(grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Req&, Resp*), const Req& request,
                  const Caller& caller = Caller::Operator()) {
    const auto stub = Service::NewStub(channel_);
    return CallUnary(*stub, method, request, caller, 5s);
  }

  Result<v1::Artifact> Upload(const std::string& sha256, std::int64_t bytes, const std::vector<std::string>& chunks,
                              const Caller& caller = Caller::Operator()) {
    const auto stub = v1::ArtifactService::NewStub(channel_);
    const auto context = MakeContext(caller, 5s);
    v1::Artifact artifact;
    const auto writer = stub->UploadArtifact(context.get(), &artifact);
    v1::UploadArtifactRequest message;
    message.mutable_header()->set_sha256(sha256);
    message.mutable_header()->set_bytes(bytes);
    bool open = writer->Write(message);
    for (const std::string& chunk : chunks) {
      message.set_data(chunk);
      open = open && writer->Write(message);
    }
    writer->WritesDone();
    const grpc::Status status = writer->Finish();
    return ToResult(status, artifact);
  }
  // Uploads `text` and returns its digest.
  std::string Put(const std::string& text) {
    const std::string sha256 = Sha256Hex(text);
    EXPECT_TRUE(Upload(sha256, static_cast<std::int64_t>(text.size()), {text}));
    return sha256;
  }
  std::size_t FilesKept() const {
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_.path()))
      files += entry.is_regular_file();
    return files;
  }

  Result<LongRunning> CreateVersion(const std::string& sha256, const std::string& request_id = "") {
    v1::CreateVersionRequest request;
    request.set_parent("models/habari");
    request.set_version_id("1.0");
    request.mutable_version()->set_license("Apache-2.0");
    request.mutable_version()->set_source_sha256(sha256);
    request.set_request_id(request_id);
    return Do<v1::ModelService>(&v1::ModelService::Stub::CreateVersion, request);
  }
  Result<LongRunning> CreateVariant(const std::string& compression) {
    v1::CreateVariantRequest request;
    request.set_parent("models/habari/versions/1.0");
    request.set_compression(compression);
    return Do<v1::ModelService>(&v1::ModelService::Stub::CreateVariant, request);
  }
  Result<v1::LeaseJobResponse> Lease(const Caller& caller = Caller::Node("n1"), std::int64_t wait_s = 0) {
    v1::LeaseJobRequest request;
    request.set_node("nodes/n1");
    request.mutable_wait()->set_seconds(wait_s);
    return Do<v1::JobService>(&v1::JobService::Stub::LeaseJob, request, caller);
  }
  static v1::QualityReport Quality() {
    v1::QualityReport quality;
    quality.set_bytes(5);
    quality.set_bits_per_weight(16);
    quality.set_perplexity(12);
    quality.set_source_perplexity(12);
    quality.set_top1_agreement(1);
    quality.set_evaluated_tokens(100);
    quality.set_evaluation_text_sha256(std::string(64, 'e'));
    return quality;
  }
  v1::FinishJobRequest Inspected(const v1::Job& job) {
    v1::FinishJobRequest request;
    request.set_name(job.name());
    request.set_epoch(job.epoch());
    v1::InspectResult& result = *request.mutable_inspect();
    result.set_architecture("llama");
    result.set_parameter_count(1000);
    result.set_trained_context_tokens(512);
    result.set_vocabulary_size(300);
    *result.mutable_quality() = Quality();
    (*result.mutable_tensor_types())["F16"] = 3;
    return request;
  }
  Result<v1::FinishJobResponse> Finish(const v1::FinishJobRequest& request) {
    return Do<v1::JobService>(&v1::JobService::Stub::FinishJob, request, Caller::Node("n1"));
  }
  LongRunning GetOperation(const std::string& name) {
    google::longrunning::GetOperationRequest request;
    request.set_name(name);
    return Do<Operations>(&Operations::Stub::GetOperation, request).value();
  }
  void ImportVersion() {
    ASSERT_TRUE(CreateVersion(Put("model")));
    const auto lease = Lease();
    ASSERT_TRUE(lease && lease->has_job());
    ASSERT_TRUE(Finish(Inspected(lease->job())));
  }
  Result<v1::Listing> CreateListing(const std::string& price = "20.5", const std::string& request_id = "",
                                    bool validate_only = false) {
    v1::CreateListingRequest request;
    request.set_listing_id("habari-ke");
    request.set_request_id(request_id);
    request.set_validate_only(validate_only);
    v1::Listing& listing = *request.mutable_listing();
    listing.set_version("models/habari/versions/1.0");
    listing.set_display_name("Habari");
    listing.set_license_terms("Apache-2.0");
    auto& row = *listing.add_prices();
    row.set_currency_code("KES");
    row.set_prompt_price_per_million(price);
    row.set_completion_price_per_million("60");
    return Do<v1::ListingService>(&v1::ListingService::Stub::CreateListing, request);
  }

  FakeClock clock_;
  TempDir dir_;
  FakeStore store_{clock_};
  BlobStore blobs_ = BlobStore::Open(dir_.path()).value();
  JobChanges jobs_changed_;
  FakePriceBooks price_books_;
  CallGates gates_;
  PublisherServiceImpl publishers_{store_, clock_, gates_};
  ModelServiceImpl models_{store_, blobs_, jobs_changed_, clock_, gates_};
  ListingServiceImpl listings_{store_, price_books_, clock_, gates_};
  ArtifactServiceImpl artifacts_{blobs_};
  JobServiceImpl jobs_{store_, blobs_, jobs_changed_, clock_};
  OperationServiceImpl operations_{store_, jobs_changed_};
  const TempDir sockets_;
  const std::string address_ = "unix:" + (sockets_ / "s.sock").string();
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(CatalogServiceTest, OneTenantsReadsLeaveServicesAndTheOthersAnswered) {
  std::vector<CallGate::Pass> crowd;
  for (int i = 0; i < 2; ++i) crowd.push_back(gates_.reads.Enter(Caller::Tenant("ke")).value());
  const auto list_as = [&](const Caller& caller) {
    const auto stub = v1::ListingService::NewStub(channel_);
    return CallUnary(*stub, &v1::ListingService::Stub::ListListings, v1::ListListingsRequest(), caller, 5s);
  };
  EXPECT_EQ(list_as(Caller::Key("ke", "p", {"portal"})).error().reason, "TOO_MANY_CALLS");
  EXPECT_TRUE(list_as(Caller::Tenant("ug")));
  for (const char* id : {"ug", "rw", "tz"}) {
    for (int i = 0; i < 2; ++i) crowd.push_back(gates_.reads.Enter(Caller::Tenant(id)).value());
  }
  EXPECT_TRUE(list_as(Caller::Operator())) << "has places of its own";
  EXPECT_TRUE(list_as(Caller::Service("scheduling")));
}

TEST_F(CatalogServiceTest, AnUploadComesBackInChunks) {
  const std::string text(2'500'000, 'x');
  const std::string sha256 = Sha256Hex(text);
  const auto artifact =
      Upload(sha256, 2'500'000, {text.substr(0, 1'000'000), text.substr(0, 1'000'000), text.substr(0, 500'000)});
  ASSERT_TRUE(artifact) << artifact.error().message;
  EXPECT_EQ(artifact->bytes(), 2'500'000);
  const auto stub = v1::ArtifactService::NewStub(channel_);
  const auto context = MakeContext(Caller::Node("n1"), 5s);
  v1::ReadArtifactRequest request;
  request.set_sha256(sha256);
  request.set_offset(10);
  const auto reader = stub->ReadArtifact(context.get(), request);
  std::string read;
  for (v1::ReadArtifactResponse message; reader->Read(&message);) read += message.data();
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(read, text.substr(10));
}

TEST_F(CatalogServiceTest, AnUploadedDigestIsNotSentAgain) {
  const std::string sha256 = Put("model");
  EXPECT_TRUE(Upload(sha256, 5, {}));
  EXPECT_EQ(Upload(sha256, 6, {}).error().reason, "SIZE_MISMATCH");
}

TEST_F(CatalogServiceTest, KeepsNothingOfAnUploadThatDoesNotMatch) {
  const std::string sha256 = Sha256Hex("model");
  EXPECT_EQ(Upload(sha256, 5, {"mod"}).error().reason, "SIZE_MISMATCH");
  EXPECT_EQ(Upload(sha256, 5, {"model and more"}).error().reason, "SIZE_MISMATCH");
  EXPECT_EQ(Upload(sha256, 5, {"MODEL"}).error().reason, "DIGEST_MISMATCH");
  EXPECT_EQ(Upload("../../etc/passwd", 5, {"model"}).error().reason, "INVALID_DIGEST");
  EXPECT_EQ(Upload(sha256, 0, {}).error().reason, "INVALID_SIZE");
  EXPECT_EQ(Upload(sha256, 5, {"model"}, Caller::Tenant("ke")).error().code, Code::kPermissionDenied);
  EXPECT_EQ(FilesKept(), 0u);
}

TEST_F(CatalogServiceTest, ImportsAVersionThroughANode) {
  const std::string sha256 = Put("model");
  const auto operation = CreateVersion(sha256);
  ASSERT_TRUE(operation) << operation.error().message;
  EXPECT_FALSE(operation->done());
  const auto lease = Lease();
  ASSERT_TRUE(lease && lease->has_job());
  EXPECT_EQ(lease->job().inspect().artifact_sha256(), sha256);
  EXPECT_EQ(lease->lease().seconds(), 10);
  const auto finished = Finish(Inspected(lease->job()));
  ASSERT_TRUE(finished) << finished.error().message;
  EXPECT_TRUE(Finish(Inspected(lease->job()))) << "again";

  const LongRunning done = GetOperation(operation->name());
  EXPECT_TRUE(done.done());
  v1::Version version;
  ASSERT_TRUE(done.response().UnpackTo(&version));
  EXPECT_EQ(version.name(), "models/habari/versions/1.0");
  EXPECT_EQ(version.architecture(), "llama");
  v1::JobMetadata metadata;
  ASSERT_TRUE(done.metadata().UnpackTo(&metadata));
  EXPECT_EQ(metadata.target(), version.name());
  v1::GetVariantRequest get;
  get.set_name("models/habari/versions/1.0/variants/source");
  const auto variant = Do<v1::ModelService>(&v1::ModelService::Stub::GetVariant, get, Caller::Tenant("ke"));
  ASSERT_TRUE(variant);
  EXPECT_EQ(variant->artifact_bytes(), 5);
}

TEST_F(CatalogServiceTest, TheSourceVariantIsTheCanonicalFormAndCompressionsStartFromIt) {
  const std::string upload = Put("model with notes");
  const auto operation = CreateVersion(upload);
  const auto lease = Lease();
  ASSERT_TRUE(lease && lease->has_job());
  v1::FinishJobRequest request = Inspected(lease->job());
  const std::string canonical = Put("model");
  request.mutable_inspect()->set_artifact_sha256(canonical);
  request.mutable_inspect()->set_artifact_bytes(5);
  const auto finished = Finish(request);
  ASSERT_TRUE(finished) << finished.error().message;
  v1::Version version;
  ASSERT_TRUE(GetOperation(operation->name()).response().UnpackTo(&version));
  EXPECT_EQ(version.source_sha256(), upload);
  v1::GetVariantRequest get;
  get.set_name("models/habari/versions/1.0/variants/source");
  const auto variant = Do<v1::ModelService>(&v1::ModelService::Stub::GetVariant, get);
  ASSERT_TRUE(variant);
  EXPECT_EQ(variant->artifact_sha256(), canonical);
  EXPECT_EQ(variant->artifact_bytes(), 5);
  EXPECT_EQ(CreateVersion(upload)->name(), operation->name()) << "the same file again";
  ASSERT_TRUE(CreateVariant("Q8_0"));
  EXPECT_EQ(Lease()->job().compress().source_sha256(), canonical);
}

TEST_F(CatalogServiceTest, ACanonicalFormThatIsNotStoredAsReportedFailsTheImportAndLeavesNothing) {
  for (const bool stored : {true, false}) {
    const auto operation = CreateVersion(Put("model with notes"));
    const auto lease = Lease();
    ASSERT_TRUE(lease && lease->has_job());
    v1::FinishJobRequest request = Inspected(lease->job());
    request.mutable_inspect()->set_artifact_sha256(stored ? Put("model") : Sha256Hex("model"));
    request.mutable_inspect()->set_artifact_bytes(stored ? 6 : 5);
    EXPECT_EQ(Finish(request).error().reason, "INVALID_JOB_RESULT");
    EXPECT_EQ(FromRpcStatus(GetOperation(operation->name()).error()).reason, "INVALID_JOB_RESULT");
    EXPECT_EQ(FilesKept(), 0u);
  }
}

TEST_F(CatalogServiceTest, AVersionNeedsAnUploadedArtifact) {
  const auto operation = CreateVersion(Sha256Hex("never uploaded"));
  EXPECT_EQ(operation.error().reason, "ARTIFACT_NOT_FOUND");
}

TEST_F(CatalogServiceTest, AFailedImportLeavesNothingAndSaysWhy) {
  const std::string request_id = Uuid::V7().ToString();
  const std::string sha256 = Put("not a model");
  const auto operation = CreateVersion(sha256, request_id);
  const auto lease = Lease();
  v1::FinishJobRequest failed;
  failed.set_name(lease->job().name());
  failed.set_epoch(lease->job().epoch());
  *failed.mutable_error() = ToRpcStatus({Code::kInvalidArgument, "INVALID_MODEL", "no GGUF magic at byte 0"});
  ASSERT_TRUE(Finish(failed));
  const LongRunning done = GetOperation(operation->name());
  EXPECT_TRUE(done.done());
  EXPECT_EQ(FromRpcStatus(done.error()).reason, "INVALID_MODEL");
  EXPECT_EQ(done.error().message(), "no GGUF magic at byte 0");
  EXPECT_EQ(FilesKept(), 0u);
  v1::GetVersionRequest get;
  get.set_name("models/habari/versions/1.0");
  EXPECT_EQ(Do<v1::ModelService>(&v1::ModelService::Stub::GetVersion, get).error().code, Code::kNotFound);
  // The retry of the very request still finds its operation, although the artifact is gone.
  EXPECT_EQ(CreateVersion(sha256, request_id)->name(), operation->name());
}

TEST_F(CatalogServiceTest, AResultThatCannotBeTrueFailsTheJobAtOnce) {
  ImportVersion();
  const auto operation = CreateVariant("Q4_K_M");
  const auto lease = Lease();
  ASSERT_TRUE(lease->has_job());
  EXPECT_EQ(lease->job().compress().compression(), "Q4_K_M");
  v1::FinishJobRequest request;
  request.set_name(lease->job().name());
  request.set_epoch(lease->job().epoch());
  request.mutable_compress()->set_artifact_sha256(Put("compressed"));
  request.mutable_compress()->set_artifact_bytes(11);
  *request.mutable_compress()->mutable_quality() = Quality();
  (*request.mutable_compress()->mutable_tensor_types())["Q4_K"] = 3;
  EXPECT_EQ(Finish(request).error().reason, "INVALID_JOB_RESULT");
  EXPECT_EQ(FromRpcStatus(GetOperation(operation->name()).error()).reason, "INVALID_JOB_RESULT");
  EXPECT_EQ(FilesKept(), 1u) << "only the source";
}

TEST_F(CatalogServiceTest, CompressesAndAnswersAgainWithTheFinishedOperation) {
  ImportVersion();
  const auto operation = CreateVariant("Q8_0");
  const auto lease = Lease();
  v1::FinishJobRequest request;
  request.set_name(lease->job().name());
  request.set_epoch(lease->job().epoch());
  request.mutable_compress()->set_artifact_sha256(Put("compressed"));
  request.mutable_compress()->set_artifact_bytes(10);
  *request.mutable_compress()->mutable_quality() = Quality();
  (*request.mutable_compress()->mutable_tensor_types())["Q8_0"] = 3;
  const auto finished = Finish(request);
  ASSERT_TRUE(finished) << finished.error().message;
  const auto again = CreateVariant("Q8_0");
  EXPECT_EQ(again->name(), operation->name());
  v1::Variant variant;
  ASSERT_TRUE(again->response().UnpackTo(&variant));
  EXPECT_EQ(variant.name(), "models/habari/versions/1.0/variants/q8_0");
  EXPECT_EQ(CreateVariant("Q9").error().reason, "UNKNOWN_COMPRESSION");
}

TEST_F(CatalogServiceTest, CompressesToWhatTheApiNamesInBothSpellings) {
  const auto* types = v1::CompressionType_descriptor();
  std::vector<std::string> named;
  for (int i = 1; i < types->value_count(); ++i) {
    named.push_back(types->value(i)->name().substr(std::string("COMPRESSION_TYPE_").size()));
    EXPECT_EQ(CompressionOf(VariantIdOf(named.back())).value_or("refused"), named.back());
  }
  EXPECT_THAT(CompressionTypes(), testing::UnorderedElementsAreArray(named));
}

TEST_F(CatalogServiceTest, KeepsLicencesAsSpdxSpellsThem) {
  v1::CreateVersionRequest request;
  request.set_parent("models/habari");
  request.set_version_id("licensed");
  request.mutable_version()->set_source_sha256(std::string(64, 'a'));
  for (const char* bad : {"nonsense licence", "Apache-2.0 AND", "(MIT", ""}) {
    request.mutable_version()->set_license(bad);
    EXPECT_EQ(Do<v1::ModelService>(&v1::ModelService::Stub::CreateVersion, request).error().reason, "INVALID_LICENSE")
        << bad;
  }
}

TEST_F(CatalogServiceTest, ALongPollIsWokenByANewJob) {
  const std::string sha256 = Put("model");
  Result<v1::LeaseJobResponse> lease = Internal("did not run");
  {
    std::jthread node([&] { lease = Lease(Caller::Node("n1"), 4); });
    EXPECT_TRUE(CreateVersion(sha256));
  }
  ASSERT_TRUE(lease) << lease.error().message;
  EXPECT_TRUE(lease->has_job());
}

TEST_F(CatalogServiceTest, OnlyTheNodeItselfLeasesJobs) {
  EXPECT_EQ(Lease(Caller::Node("n2")).error().code, Code::kPermissionDenied);
  EXPECT_EQ(Lease(Caller::Operator()).error().code, Code::kPermissionDenied);
  EXPECT_EQ(Lease(Caller::Tenant("ke")).error().code, Code::kPermissionDenied);
}

TEST_F(CatalogServiceTest, AnOldEpochLosesItsLease) {
  ASSERT_TRUE(CreateVersion(Put("model")));
  const auto first = Lease();
  clock_.Advance(11s);
  const auto second = Lease();
  ASSERT_TRUE(second->has_job());
  v1::ReportJobRequest report;
  report.set_name(first->job().name());
  report.set_epoch(first->job().epoch());
  const auto reported = Do<v1::JobService>(&v1::JobService::Stub::ReportJob, report, Caller::Node("n1"));
  EXPECT_EQ(reported.error().code, Code::kAborted);
  EXPECT_EQ(reported.error().reason, "LEASE_LOST");
  EXPECT_EQ(Finish(Inspected(first->job())).error().reason, "LEASE_LOST");
}

TEST_F(CatalogServiceTest, AJobThatKillsEveryNodeFailsAndItsArtifactGoes) {
  const auto operation = CreateVersion(Put("hostile"));
  for (int i = 0; i < kAttemptsMax; ++i) {
    ASSERT_TRUE(Lease()->has_job());
    clock_.Advance(11s);
  }
  EXPECT_FALSE(Lease()->has_job());
  EXPECT_EQ(FromRpcStatus(GetOperation(operation->name()).error()).reason, "JOB_ATTEMPTS_EXHAUSTED");
  EXPECT_EQ(FilesKept(), 0u);
}

TEST_F(CatalogServiceTest, WaitingForAnOperationEndsWithIt) {
  const auto operation = CreateVersion(Put("model"));
  const auto lease = Lease();
  Result<LongRunning> waited = Internal("did not run");
  {
    std::jthread waiter([&] {
      google::longrunning::WaitOperationRequest request;
      request.set_name(operation->name());
      request.mutable_timeout()->set_seconds(4);
      waited = Do<Operations>(&Operations::Stub::WaitOperation, request);
    });
    EXPECT_TRUE(Finish(Inspected(lease->job())));
  }
  ASSERT_TRUE(waited) << waited.error().message;
  EXPECT_TRUE(waited->done());
}

TEST_F(CatalogServiceTest, AListingIsActiveOnceBillingHoldsItsPrices) {
  ImportVersion();
  const auto listing = CreateListing();
  ASSERT_TRUE(listing) << listing.error().message;
  EXPECT_EQ(listing->state(), v1::Listing::STATE_ACTIVE);
  ASSERT_EQ(price_books_.created.size(), 1u);
  EXPECT_EQ(listing->price_book(), "priceBooks/" + price_books_.created[0].ToString());
  EXPECT_EQ(listing->prices(0).prompt_price_per_million(), "20.5");
  EXPECT_EQ(CreateListing()->price_book(), listing->price_book());
  EXPECT_EQ(price_books_.created.size(), 1u);
  EXPECT_EQ(CreateListing("21").error().reason, "ALREADY_EXISTS");
}

TEST_F(CatalogServiceTest, AListingStaysHiddenWhileBillingIsAwayAndARetryCompletesIt) {
  ImportVersion();
  price_books_.answer = Fail(Code::kUnavailable, "RPC_FAILED", "billing is away");
  EXPECT_EQ(CreateListing().error().code, Code::kUnavailable);
  v1::GetListingRequest get;
  get.set_name("listings/habari-ke");
  EXPECT_EQ(Do<v1::ListingService>(&v1::ListingService::Stub::GetListing, get).error().code, Code::kNotFound);
  price_books_.answer = {};
  ASSERT_TRUE(CreateListing());
  ASSERT_EQ(price_books_.created.size(), 2u);
  EXPECT_EQ(price_books_.created[0], price_books_.created[1]);
  EXPECT_TRUE(Do<v1::ListingService>(&v1::ListingService::Stub::GetListing, get, Caller::Tenant("ke")));
}

TEST_F(CatalogServiceTest, RefusesARequestIdThatIsNoneAlsoWhereItOnlyJudges) {
  ImportVersion();
  EXPECT_EQ(CreateListing("20.5", "x", true).error().reason, "INVALID_REQUEST_ID");
  EXPECT_EQ(CreateListing("20.5", "x").error().reason, "INVALID_REQUEST_ID");
}

TEST_F(CatalogServiceTest, RefusesAPriceWithThirteenDecimalsByName) {
  ImportVersion();
  const auto listing = CreateListing("0.0000000000001");
  ASSERT_FALSE(listing);
  EXPECT_EQ(listing.error().code, Code::kInvalidArgument);
  EXPECT_NE(listing.error().message.find("prices[0].prompt_price_per_million"), std::string::npos);
  EXPECT_TRUE(price_books_.created.empty());
}

}  // namespace
}  // namespace allod::catalog::service_test
