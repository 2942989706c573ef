#include "gateway/serving/peer_errors.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "gateway/http/error.h"

namespace allod::gateway::serving::peer_errors_test {
namespace {

namespace fs = std::filesystem;

// The reasons that the sources below these folders raise, by code, as they stand there.
std::map<std::string, std::set<std::string>> RaisedIn(const std::vector<std::string>& folders) {
  static const std::regex raise(
      R"re((?:\b(InvalidArgument|FailedPrecondition)\(|Code::k(\w+),)\s*"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)")re");
  const char* root = std::getenv("ALLOD_SOURCE_DIR");
  EXPECT_NE(root, nullptr) << "run this through ctest";
  std::map<std::string, std::set<std::string>> out;
  for (const std::string& folder : folders) {
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(root ? root : ".") / folder)) {
      const std::string file = entry.path().filename().string();
      if ((!file.ends_with(".cc") && !file.ends_with(".h")) || file.ends_with("_test.cc")) continue;
      std::stringstream text;
      text << std::ifstream(entry.path()).rdbuf();
      const std::string source = text.str();
      for (std::sregex_iterator at(source.begin(), source.end(), raise); at != std::sregex_iterator(); ++at) {
        out[(*at)[1].matched ? (*at)[1] : (*at)[2]].insert((*at)[3]);
      }
    }
  }
  return out;
}

// What workers raise with a code that blames the caller, and no caller can have caused.
const std::set<std::string> kOursAtWorkers = {
    // when a worker starts
    "GGUF_BAD_WEIGHTS", "GGUF_UNREADABLE", "INVALID_OPTION", "MODEL_NOT_LOADABLE", "NO_COMPUTE_BACKEND",
    "DIGEST_MISMATCH",
    // what the gateway says of itself
    "INVALID_INSTANCE", "INVALID_PROMPT", "INVALID_REQUEST_ID", "INVALID_TENANT", "UNKNOWN_INSTANCE", "WRONG_TENANT",
    // what the machine lacks
    "NO_MEMORY", "NO_THREAD", "QUEUE_FULL", "QUEUE_TIMEOUT", "USAGE_RING_FULL", "USAGE_RING_DAMAGED",
    // never leaves the worker
    "PIECE_TOO_COSTLY"};

TEST(PeerErrors, EveryReasonOfAWorkerIsTheCallersOrOurs) {
  const std::set<std::string> callers(RefusalsOfWorkers().begin(), RefusalsOfWorkers().end());
  std::set<std::string> raised;
  for (const auto& [code, reasons] :
       RaisedIn({"inference/engine", "inference/model", "inference/ports", "inference/usage", "inference/worker"})) {
    raised.insert(reasons.begin(), reasons.end());
    if (code == "Internal" || code == "Unavailable" || code == "DeadlineExceeded" || code == "DataLoss") continue;
    for (const std::string& reason : reasons) {
      EXPECT_NE(callers.contains(reason), kOursAtWorkers.contains(reason)) << reason << ": say whose doing it is";
    }
  }
  for (const auto* reasons : {&callers, &kOursAtWorkers}) {
    for (const std::string& reason : *reasons) EXPECT_TRUE(raised.contains(reason)) << reason << " is raised no more";
  }
}

TEST(PeerErrors, WhatNoCallerCausedIsNever4xxWhateverItsCode) {
  std::set<std::string> reasons = kOursAtWorkers;
  // A worker that was taken over may say anything.
  reasons.insert({"", "RPC_FAILED", "INVALID_API_KEY", "RATE_LIMIT_EXCEEDED", "INSUFFICIENT_FUNDS", "MODEL_NOT_FOUND"});
  for (int code = 1; code <= 16; ++code) {
    for (const std::string& reason : reasons) {
      const Error error = OfWorker({static_cast<Code>(code), reason, "what happened"});
      EXPECT_GE(http::OpenAiShapeOf(error).status, 500) << code << " " << reason;
      EXPECT_FALSE(IsCallersDoing(error)) << reason;
    }
  }
}

TEST(PeerErrors, WhatTheCallerAskedIs400) {
  for (const std::string_view reason : RefusalsOfWorkers()) {
    for (const Code code : {Code::kInvalidArgument, Code::kFailedPrecondition}) {
      const Error error = OfWorker({code, std::string(reason), "no"});
      EXPECT_EQ(http::OpenAiShapeOf(error).status, 400) << reason;
      EXPECT_TRUE(IsCallersDoing(error)) << reason;
    }
  }
  const Error costly = OfWorker({Code::kResourceExhausted, "TEMPLATE_TOO_COSTLY", "fewer messages, please"});
  EXPECT_EQ(http::OpenAiShapeOf(costly).status, 400) << "waiting does not help";
}

TEST(PeerErrors, OfBillingOnlyMissingMoneyIsTheCallers) {
  struct Row {
    Code code;
    const char* reason;
    int status;
  };
  for (const Row& row :
       {Row{Code::kResourceExhausted, "INSUFFICIENT_FUNDS", 429},
        Row{Code::kResourceExhausted, "BUDGET_EXHAUSTED", 429},
        Row{Code::kFailedPrecondition, "NO_BILLING_ACCOUNT", 429},
        Row{Code::kFailedPrecondition, "PRICE_NOT_FOUND", 500}, Row{Code::kInvalidArgument, "INVALID_REQUEST_ID", 500},
        Row{Code::kAlreadyExists, "REQUEST_ID_REUSED", 500}, Row{Code::kOutOfRange, "AMOUNT_OUT_OF_RANGE", 500},
        Row{Code::kNotFound, "NOT_FOUND", 500}, Row{Code::kResourceExhausted, "TOO_MANY_CALLS", 503},
        Row{Code::kResourceExhausted, "DATABASE_FULL", 503}, Row{Code::kAborted, "LOCK_TIMEOUT", 503},
        Row{Code::kUnavailable, "BILLING_UNAVAILABLE", 503}}) {
    EXPECT_EQ(http::OpenAiShapeOf(OfBilling({row.code, row.reason, "m"})).status, row.status) << row.reason;
  }
}

// In the portal 429 says that the tenant has as much as it may, or asks too often.
TEST(PeerErrors, WhatServicesLackIsNever429) {
  const std::set<std::string> of_tenants = {
      "INSUFFICIENT_FUNDS",      "TOO_MANY_API_KEYS", "TOO_MANY_CALLS",
      "TOO_MANY_INSTANCES",      "TOO_MANY_PROJECTS", "TOO_MANY_IDENTITY_PROVIDERS",
      "TOO_MANY_WORKLOAD_RULES", "QUOTA_EXCEEDED",    "TOO_MANY_MEMBERS",
      "TOO_MANY_SESSIONS",       "TOO_MANY_ROLES",    "TOO_MANY_TENANTS",
      "TOO_MANY_ATTEMPTS",       "TOO_MANY_BUDGETS",  "TOO_MANY_EVENT_SINKS",
      "TOO_MANY_QUOTES"};
  // Only operators and nodes meet these.
  const std::set<std::string> of_operators = {"TOO_MANY_NODES", "TOO_MANY_REGIONS", "TOO_MANY_UPLOADS",
                                              "TOO_MANY_WORKERS"};
  const auto raised = RaisedIn({"services/common", "services/common/rpc", "services/tenancy", "services/catalog",
                                "services/billing", "services/scheduling", "scheduler"});
  ASSERT_TRUE(raised.contains("ResourceExhausted"));
  for (const std::string& reason : raised.at("ResourceExhausted")) {
    if (of_tenants.contains(reason) || of_operators.contains(reason)) continue;
    EXPECT_GE(http::ProblemStatusOf({Code::kResourceExhausted, reason, "m"}), 500) << reason << ": whose limit is it?";
  }
}

TEST(PeerErrors, ACallThatFailedWithoutAWordIsOurs) {
  for (int code = 1; code <= 16; ++code) {
    const Error error{static_cast<Code>(code), "RPC_FAILED", "m"};
    EXPECT_GE(http::OpenAiShapeOf(error).status, 500) << code;
    EXPECT_GE(http::ProblemStatusOf(error), 500) << code;
  }
}

}  // namespace
}  // namespace allod::gateway::serving::peer_errors_test
