#include "gateway/portal/transcoder.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "allod/billing/v1/usage.pb.h"
#include "allod/scheduling/v1/instance.pb.h"
#include "allod/tenancy/v1/project.pb.h"
#include "google/longrunning/operations.pb.h"

namespace allod::gateway::portal::transcoder_test {
namespace {

class TranscoderTest : public testing::Test {
 protected:
  // Finds, encodes and parses; fails the test on an error.
  template <typename Request>
  Request Encode(const char* method, const std::string& path, const std::string& query, const std::string& body,
                 const std::string& key = "", const std::string& project = "tenants/ke/projects/p") {
    Request out;
    const auto match = transcoder_.Find(method, path);
    EXPECT_TRUE(match) << path;
    const auto bytes = transcoder_.EncodeRequest(*match, query, body, key, project);
    EXPECT_TRUE(bytes) << bytes.error().message;
    EXPECT_EQ(match->route->method->input_type(), Request::descriptor());
    EXPECT_TRUE(out.ParseFromString(*bytes));
    return out;
  }
  Error EncodeError(const char* method, const std::string& path, const std::string& query, const std::string& body) {
    const auto match = transcoder_.Find(method, path);
    EXPECT_TRUE(match) << path;
    const auto bytes = transcoder_.EncodeRequest(*match, query, body, "", "tenants/ke/projects/p");
    EXPECT_FALSE(bytes);
    return bytes ? Error{} : bytes.error();
  }

  const Transcoder transcoder_ = *Transcoder::Build(PortalServices());
};

TEST_F(TranscoderTest, PathBodyAndQueryMeetInOneMessage) {
  const auto request = Encode<scheduling::v1::CreateInstanceRequest>(
      "POST", "/v1/tenants/ke/projects/p/instances", "instanceId=a&request_id=b",
      R"({"spec":{"listing":"listings/l","contextTokens":256,"max_concurrency":2,"isolationClass":"ISOLATION_CLASS_ISOLATED"}})");
  EXPECT_EQ(request.parent(), "tenants/ke/projects/p");
  EXPECT_EQ(request.instance_id(), "a");
  EXPECT_EQ(request.request_id(), "b");
  EXPECT_EQ(request.instance().spec().context_tokens(), 256);
  EXPECT_EQ(request.instance().spec().max_concurrency(), 2) << "proto names are accepted too";
}

TEST_F(TranscoderTest, NestedPathVariablesReachIntoTheBody) {
  const char* path = "/v1/tenants/ke/projects/p/instances/i";
  const auto request = Encode<scheduling::v1::UpdateInstanceRequest>("PUT", path, "", R"({"etag":"x"})");
  EXPECT_EQ(request.instance().name(), "tenants/ke/projects/p/instances/i");
  EXPECT_EQ(request.instance().etag(), "x");
  const Error error = EncodeError("PUT", path, "", R"({"name":"tenants/tz/projects/p/instances/i"})");
  EXPECT_EQ(error.reason, "INVALID_REQUEST") << "the path and the body name different things";
}

TEST_F(TranscoderTest, QueryParametersAreTypedByTheField) {
  const auto request = Encode<billing::v1::ListUsageRecordsRequest>(
      "GET", "/v1/tenants/ke/usageRecords", "pageSize=7&startTime=2026-01-02T03:04:05Z&page_token=a%26b", "");
  EXPECT_EQ(request.page_size(), 7);
  EXPECT_EQ(request.start_time().seconds(), 1767323045);
  EXPECT_EQ(request.page_token(), "a&b");
}

TEST_F(TranscoderTest, WhatDoesNotFitIsRefusedByName) {
  struct Row {
    const char* query;
    const char* body;
    const char* named;
  };
  const Row table[] = {{"colour=red", "", "colour"},
                       {"project.uid.x=1", "", "project.uid.x"},
                       {"project=1", "", "project"},
                       {"", R"({"colour":"red"})", "colour"},
                       {"", R"({"displayName":{"a":1}})", "display"},
                       {"", "[]", "object"},
                       {"", "{", "JSON"},
                       {"a=%zz", "", "a"}};
  for (const Row& row : table) {
    const Error error = EncodeError("POST", "/v1/tenants/ke/projects", row.query, row.body);
    EXPECT_EQ(error.code, Code::kInvalidArgument) << row.query << row.body;
    EXPECT_NE(error.message.find(row.named), std::string::npos) << error.message;
  }
}

TEST_F(TranscoderTest, IdempotencyKeyBecomesAStableRequestId) {
  const auto encode = [&](const std::string& key) {
    return Encode<tenancy::v1::CreateProjectRequest>("POST", "/v1/tenants/ke/projects", "projectId=p", "{}", key)
        .request_id();
  };
  EXPECT_EQ(encode("01890000-0000-7000-8000-000000000001"), "01890000-0000-7000-8000-000000000001");
  EXPECT_EQ(encode("order 66"), encode("order 66"));
  EXPECT_NE(encode("order 66"), encode("order 67"));
  EXPECT_TRUE(Uuid::Parse(encode("order 66")));
  EXPECT_EQ(encode(""), "");
}

TEST_F(TranscoderTest, IdempotencyKeysOfTwoProjectsNeverMeet) {
  const auto encode = [&](const std::string& project) {
    return Encode<tenancy::v1::CreateProjectRequest>("POST", "/v1/tenants/ke/projects", "projectId=p", "{}", "once",
                                                     project)
        .request_id();
  };
  EXPECT_EQ(encode("tenants/ke/projects/a"), encode("tenants/ke/projects/a"));
  EXPECT_NE(encode("tenants/ke/projects/a"), encode("tenants/ke/projects/b"));
  EXPECT_NE(encode("tenants/ke/projects/a"), encode("tenants/tz/projects/a"));
}

TEST_F(TranscoderTest, UnknownPathsAndMethodsAreToldApart) {
  EXPECT_EQ(transcoder_.Find("GET", "/v1/nothing").error().reason, "UNKNOWN_PATH");
  EXPECT_EQ(transcoder_.Find("DELETE", "/v1/listings").error().reason, "METHOD_NOT_ALLOWED");
}

TEST_F(TranscoderTest, AVerbIsNoPartOfAName) {
  const auto of = [&](const char* path) { return transcoder_.Find("GET", path)->route->method->name(); };
  EXPECT_EQ(of("/v1/tenants/ke/invoices/2026-10"), "GetInvoice");
  EXPECT_EQ(of("/v1/tenants/ke/invoices/2026-10:document"), "GetInvoiceDocument");
}

TEST_F(TranscoderTest, MethodsWithoutAnAnnotationAreNotExposed) {
  for (const PortalRoute& route : transcoder_.routes()) {
    for (const char* hidden :
         {"WatchTenants", "Reserve", "Settle", "SetBillingAccount", "CreateListing", "WatchApiKeys"}) {
      EXPECT_NE(route.method->name(), hidden);
    }
  }
  EXPECT_GE(transcoder_.routes().size(), 20U);
}

TEST_F(TranscoderTest, OperationsAnswerWithTheirTypedParts) {
  const auto match = transcoder_.Find("GET", "/v1/tenants/ke/operations/x");
  ASSERT_TRUE(match);
  google::longrunning::Operation operation;
  operation.set_name("tenants/ke/operations/x");
  scheduling::v1::InstanceOperationMetadata metadata;
  metadata.set_phase("starting 0/1");
  operation.mutable_metadata()->PackFrom(metadata);
  const auto json = transcoder_.DecodeResponse(*match->route, operation.SerializeAsString());
  ASSERT_TRUE(json) << json.error().message;
  const auto parsed = nlohmann::json::parse(*json);
  EXPECT_EQ(parsed["done"], false);
  EXPECT_EQ(parsed["metadata"]["phase"], "starting 0/1");
}

TEST_F(TranscoderTest, WhatIsSaidTwiceIsSaidToBeSo) {
  const char* path = "/v1/tenants/ke/projects/p/instances";
  for (const char* query : {"pageSize=1&pageSize=2", "pageSize=1&page_size=2", "pageSize=1&pageSize=1"}) {
    const Error error = EncodeError("GET", path, query, "");
    EXPECT_EQ(error.reason, "INVALID_REQUEST");
    EXPECT_TRUE(error.message.ends_with(" is given more than once")) << error.message;
  }
  EXPECT_EQ(EncodeError("GET", path, "parent=tenants/tz/projects/p", "").message,
            "path: parent is tenants/ke/projects/p, but another part of the request says \"tenants/tz/projects/p\"");
}

}  // namespace
}  // namespace allod::gateway::portal::transcoder_test
