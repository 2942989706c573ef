// The small parts of the node agent: configuration, conversion, the job's lines, child processes.

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <variant>

#include "inference/node/child_process.h"
#include "inference/node/config.h"
#include "inference/node/convert.h"
#include "inference/node/job_process.h"
#include "inference/node/worker_socket.h"

namespace allod::inference::node {
namespace {

using std::chrono::milliseconds;

nlohmann::json GoodConfig() {
  return {{"node", "local"},
          {"region", "ke-1"},
          {"memory_bytes", 0},
          {"cpu_millis", 0},
          {"scheduling_target", "a"},
          {"catalog_target", "b"},
          {"artifact_dir", "/s/a"},
          {"run_dir", "/s/run"},
          {"worker_executable", "/bin/sh"},
          {"compress_executable", "/bin/sh"},
          {"evaluation_text", "/bin/sh"}};
}

TEST(NodeConfig, DetectsWhatTheMachineHas) {
  const ConfigFile file{"x.json", GoodConfig()};
  const auto config = LoadConfig(file);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_GT(config->memory_bytes, 64 << 20);
  EXPECT_GE(config->cpu_millis, 100);
  EXPECT_GE(config->threads(), 1);
  EXPECT_EQ(config->node_name(), "nodes/local");
}

TEST(NodeConfig, RefusesUnknownFieldsRelativePathsAndLongSocketDirectories) {
  for (const auto& [field, value] :
       std::vector<std::pair<std::string, nlohmann::json>>{{"worker_executible", "/bin/sh"},
                                                           {"artifact_dir", "relative"},
                                                           {"run_dir", "/" + std::string(90, 'x')},
                                                           {"node", "Not An Id"},
                                                           {"cpu_millis", -1},
                                                           {"worker_executable", "/no/such/program"}}) {
    ConfigFile file{"x.json", GoodConfig()};
    file.json[field] = value;
    const auto config = LoadConfig(file);
    ASSERT_FALSE(config) << field;
    EXPECT_EQ(config.error().reason, "INVALID_CONFIG");
    EXPECT_NE(config.error().message.find(field), std::string::npos) << config.error().message;
  }
}

TEST(Assignment, IsCheckedBeforeAPathOrACommandIsMadeOfIt) {
  scheduling::v1::Assignment good;
  good.set_replica_uid("01900000-0000-7000-8000-00000000abcd");
  good.set_instance("tenants/ke/projects/p/instances/i");
  good.set_artifact_sha256(std::string(64, 'a'));
  good.set_context_tokens(512);
  good.set_max_concurrency(4);
  ASSERT_TRUE(FromProto(good));
  EXPECT_EQ(WorkerSocket("/run", *FromProto(good), 7), "/run/w-00000000abcd-7.sock");
  auto bad = good;
  bad.set_replica_uid("../../etc");
  EXPECT_FALSE(FromProto(bad));
  bad = good;
  bad.set_artifact_sha256("../passwd");
  EXPECT_FALSE(FromProto(bad));
  bad = good;
  bad.set_instance("--model");
  EXPECT_FALSE(FromProto(bad));
  bad = good;
  bad.set_max_concurrency(100'000);
  EXPECT_FALSE(FromProto(bad));
  bad = good;
  bad.set_context_tokens(-1);
  EXPECT_FALSE(FromProto(bad));
}

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
  return RunJobProcess({"/bin/sh", "-c", script}, pace,
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

WorkerExit WaitFor(ChildProcess& child) {
  pollfd fd{child.exit_fd(), POLLIN, 0};
  EXPECT_EQ(poll(&fd, 1, 30'000), 1);
  const auto exit = child.TryReap();
  EXPECT_TRUE(exit);
  return exit.value_or(WorkerExit{});
}

TEST(ChildProcess, ReportsHowItEnded) {
  auto exits = ChildProcess::Start({.command = {"/bin/sh", "-c", "exit 7"}});
  ASSERT_TRUE(exits);
  EXPECT_EQ(WaitFor(*exits).status, 7);
  auto killed = ChildProcess::Start({.command = {"/bin/sh", "-c", "exec sleep 60"}});
  ASSERT_TRUE(killed);
  EXPECT_FALSE(killed->TryReap());
  killed->Signal(SIGTERM);
  EXPECT_EQ(WaitFor(*killed).signal, SIGTERM);
}

TEST(ChildProcess, SaysSoWhenTheProgramCannotBeExecuted) {
  auto child = ChildProcess::Start({.command = {"/no/such/program"}});
  ASSERT_TRUE(child);
  EXPECT_EQ(WaitFor(*child).status, 127);
  const auto lines = child->ReadStderr();
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NE(lines[0].find("/no/such/program"), std::string::npos);
}

TEST(ChildProcess, InheritsNoDescriptorsAndNoBlockedSignals) {
  const OwnedFd leaked(dup(2));  // without close-on-exec
  auto child =
      ChildProcess::Start({.command = {"/bin/sh", "-c", "ls /proc/self/fd | wc -l; grep SigBlk /proc/self/status"},
                           .capture_stdout = true});
  ASSERT_TRUE(child);
  WaitFor(*child);
  const auto lines = child->ReadStdout();
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_LE(std::stoi(lines[0]), 4);  // 0, 1, 2 and the directory itself
  EXPECT_EQ(lines[1], "SigBlk:\t0000000000000000");
}

TEST(LineReader, BoundsLinesAndJoinsPieces) {
  LineReader reader(4);
  EXPECT_EQ(reader.Feed("ab"), std::vector<std::string>{});
  EXPECT_EQ(reader.Feed("c\n1234567\nx"), (std::vector<std::string>{"abc", "1234"}));
  EXPECT_EQ(reader.Finish(), "x");
  EXPECT_EQ(reader.Finish(), std::nullopt);
}

}  // namespace
}  // namespace allod::inference::node
