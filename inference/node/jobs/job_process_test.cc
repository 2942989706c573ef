#include "inference/node/jobs/job_process.h"

#include <gtest/gtest.h>

#include <chrono>
#include <variant>

#include "inference/node/jobs/job_result.h"

namespace allod::inference::node::jobs::job_process_test {
namespace {

using std::chrono::milliseconds;

TEST(JobLine, IsProgressAResultAnErrorOrRefused) {
  const auto progress = ParseJobLine(R"({"phase":"measuring","progress":0.5})");
  ASSERT_TRUE(progress);
  EXPECT_EQ(std::get<JobProgress>(*progress).phase, "measuring");
  const auto result = ParseJobLine(R"({"result":{"architecture":"llama","quality":{"perplexity":4.5}}})");
  ASSERT_TRUE(result);
  catalog::v1::InspectResult inspect;
  ASSERT_TRUE(FillInspectResult(std::get<JobResult>(*result).json, inspect));
  EXPECT_EQ(inspect.quality().perplexity(), 4.5);
  const auto error = ParseJobLine(R"({"error":{"code":"INVALID_ARGUMENT","reason":"GGUF_BAD_MAGIC","message":"m"}})");
  ASSERT_TRUE(error);
  EXPECT_EQ(std::get<Error>(*error).code, Code::kInvalidArgument);
  for (const char* line : {"", "hello", "[]", R"({"phase":1,"progress":0})", R"({"error":{"code":"X"}})", "{}"}) {
    EXPECT_FALSE(ParseJobLine(line)) << line;
  }
  EXPECT_EQ(FillInspectResult(R"({"no_such_field":1})", inspect).error().reason, "BAD_JOB_RESULT");
}

TEST(ReportPace, TellsChangesFourTimesASecondAndOtherwiseThriceALease) {
  const ReportPace::Time start{std::chrono::seconds(10)};
  ReportPace pace(milliseconds(9000), start);
  EXPECT_FALSE(pace.Due({"a", 0.1}, start + milliseconds(249)));
  EXPECT_TRUE(pace.Due({"a", 0.1}, start + milliseconds(250)));
  EXPECT_FALSE(pace.Due({"a", 0.1}, start + milliseconds(3249)));
  EXPECT_TRUE(pace.Due({"a", 0.1}, start + milliseconds(3250)));
  pace.Succeeded(start + milliseconds(3250));
  EXPECT_FALSE(pace.Expired(start + milliseconds(12'249)));
  EXPECT_TRUE(pace.Expired(start + milliseconds(12'250)));
}

Result<std::string> RunShell(const std::string& script, std::vector<JobProgress>* told = nullptr,
                             const Status& answer = {}) {
  ReportPace pace(milliseconds(1000), std::chrono::steady_clock::now());
  return RunJobProcess({"/bin/sh", "-c", script}, nullptr, pace,
                       [&](const JobProgress& p) {
                         if (told != nullptr) told->push_back(p);
                         return answer;
                       },
                       {});
}

TEST(JobProcess, GivesTheResult) {
  EXPECT_EQ(RunShell(R"(echo '{"phase":"x","progress":0.5}'; echo '{"result":{"a":1}}')"), R"({"a":1})");
}

TEST(JobProcess, GivesTheJobsOwnError) {
  const auto r = RunShell(R"(echo '{"error":{"code":"NOT_FOUND","reason":"R","message":"m"}}'; exit 3)");
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error(), (Error{Code::kNotFound, "R", "m"}));
}

TEST(JobProcess, TellsADeathFromAnAnswer) {
  for (const char* script : {"echo oops >&2; kill -9 $$", "exit 0", R"(echo '{"result":{}}'; exit 1)", "exit 3"}) {
    const auto r = RunShell(script);
    ASSERT_FALSE(r) << script;
    EXPECT_EQ(r.error().reason, "JOB_CRASHED") << script;
  }
  EXPECT_NE(RunShell("echo oops >&2; kill -9 $$").error().message.find("oops"), std::string::npos);
  EXPECT_NE(RunShell("echo not json; exit 0").error().message.find("not json"), std::string::npos);
}

TEST(JobProcess, EndsTheChildWhenTheLeaseIsLost) {
  const auto begin = std::chrono::steady_clock::now();
  std::vector<JobProgress> told;
  const auto r = RunShell(R"(echo '{"phase":"x","progress":0.5}'; exec sleep 60)", &told,
                          Fail(Code::kAborted, "LEASE_LOST", "gone"));
  EXPECT_EQ(r.error().reason, "LEASE_LOST");
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].phase, "x");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
}

}  // namespace
}  // namespace allod::inference::node::jobs::job_process_test
