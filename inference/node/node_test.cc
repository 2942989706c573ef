// The small parts of the node agent: configuration, conversion, the job's lines, child processes.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <tuple>
#include <variant>

#include "inference/node/config.h"
#include "inference/node/convert.h"
#include "inference/node/jobs/job_process.h"
#include "inference/node/jobs/job_result.h"
#include "inference/node/process/child_process.h"
#include "inference/node/process/worker_socket.h"
#include "tests/support/temp_dir.h"

namespace allod::inference::node {
namespace {

using std::chrono::milliseconds;

nlohmann::json GoodConfig() {
  return {{"node", "local"},
          {"region", "ke-1"},
          {"memory_bytes", 0},
          {"cpu_millis", 0},
          {"scheduling_target", "unix:/a"},
          {"catalog_target", "unix:/b"},
          {"billing_target", "unix:/c"},
          {"artifact_dir", "/s/a"},
          {"run_dir", "/s/run"},
          {"usage_dir", "/s/usage"},
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
                                                           {"usage_dir", "relative"},
                                                           {"sandbox", "none"},
                                                           {"zygote_idle_seconds", -1},
                                                           {"spare_worker_seconds", -1},
                                                           {"gate", 7},
                                                           {"pool", "large"},
                                                           {"scheduling_target", "10.0.0.1:5000"},
                                                           {"catalog_target", "dns:///catalog"},
                                                           {"billing_target", "unix:relative.sock"},
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

TEST(NodeConfig, HasWhatGateAndPoolNeed) {
  ConfigFile file{"x.json", GoodConfig()};
  auto config = LoadConfig(file);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->sandbox, "auto");
  EXPECT_EQ(config->gate.turn_ms_max, 25);
  EXPECT_EQ(config->pool.sequences, 16);
  EXPECT_EQ(config->pool.kv_tokens, 16384);
  EXPECT_EQ(config->zygote_idle_seconds, 600);
  file.json["sandbox"] = "strict";
  file.json["gate"] = {{"cores", 3}, {"turn_ms_max", 10}, {"chunk_tokens_max", 64}};
  file.json["pool"] = {{"sequences", 4}, {"context_tokens", 1024}};
  config = LoadConfig(file);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->gate.cores, 3);
  EXPECT_EQ(config->gate.turn_ms_max, 10);
  EXPECT_EQ(config->gate.chunk_tokens_max, 64);
  EXPECT_EQ(config->pool.context_tokens, 1024);
  EXPECT_EQ(config->pool.kv_tokens, 4096);  // four times the context when it is not said
  for (const auto& [group, field, value] :
       std::vector<std::tuple<std::string, std::string, nlohmann::json>>{{"gate", "core", 1},
                                                                         {"gate", "cores", -1},
                                                                         {"gate", "turn_ms_max", 0},
                                                                         {"pool", "sequences", 0},
                                                                         {"pool", "sequences", 1000},
                                                                         {"pool", "context_tokens", 1},
                                                                         {"pool", "kv_tokens", 100}}) {
    ConfigFile bad{"x.json", GoodConfig()};
    bad.json[group] = {{field, value}};
    const auto refused = LoadConfig(bad);
    ASSERT_FALSE(refused) << group << "." << field;
    EXPECT_NE(refused.error().message.find(group), std::string::npos) << refused.error().message;
    EXPECT_NE(refused.error().message.find(field), std::string::npos) << refused.error().message;
  }
}

TEST(Assignment, IsCheckedBeforeAPathOrACommandIsMadeOfIt) {
  scheduling::v1::Assignment good;
  good.set_replica_uid("01900000-0000-7000-8000-00000000abcd");
  good.set_instance("tenants/ke/projects/p/instances/i");
  good.set_artifact_sha256(std::string(64, 'a'));
  good.set_tenant_uid("01900000-0000-5000-8000-0000000000AA");
  good.set_context_tokens(512);
  good.set_max_concurrency(4);
  good.set_isolation_class(scheduling::v1::ISOLATION_CLASS_DEDICATED);
  good.set_sleep_after_seconds(90);
  good.set_weight(5'000'000);
  const auto worker = FromProto(good);
  ASSERT_TRUE(worker) << worker.error().message;
  EXPECT_EQ(worker->tenant_uid, "01900000-0000-5000-8000-0000000000aa");
  EXPECT_EQ(worker->isolation, pool::IsolationClass::kDedicated);
  EXPECT_EQ(worker->sleep_after, std::chrono::seconds(90));
  EXPECT_EQ(worker->weight, 1000);
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
  bad = good;
  bad.set_tenant_uid("");
  EXPECT_FALSE(FromProto(bad));
  bad = good;
  bad.set_sleep_after_seconds(-1);
  EXPECT_FALSE(FromProto(bad));
  for (const int unknown : {0, 99}) {
    bad = good;
    bad.set_isolation_class(static_cast<scheduling::v1::IsolationClass>(unknown));
    EXPECT_FALSE(FromProto(bad)) << "never taken as isolated";
  }
}

TEST(Report, CanBeReadWhateverAWorkerSaid) {
  Supervisor::Snapshot snapshot;
  snapshot.workers.push_back({.replica_uid = "r", .message = "ended: \xff\xc3 \n", .worker_key = "r"});
  snapshot.models.push_back({.key = "a", .sha256 = "a", .state = pool::ModelState::kFailed, .message = "\x80"});
  snapshot.figures.workers["r"].layers = {"sec\xe2omp"};
  const auto report = ToReport("nodes/local", snapshot);
  EXPECT_EQ(report.workers(0).message(), "ended: ?? ?");
  EXPECT_EQ(report.workers(0).sandbox_layers(0), "sec?omp");
  EXPECT_EQ(report.resident_models(0).message(), "?");
  scheduling::v1::ReportWorkersRequest read;
  EXPECT_TRUE(read.ParseFromString(report.SerializeAsString()));
}

TEST(Report, GivesNoReplicaTheFiguresOfAWorkerThatOthersShare) {
  Supervisor::Snapshot snapshot;
  snapshot.workers.push_back({.replica_uid = "own", .worker_key = "own"});
  snapshot.workers.push_back({.replica_uid = "member", .worker_key = "pool/a"});
  for (const char* key : {"own", "pool/a"}) {
    snapshot.figures.workers[key].pid = 7;
    snapshot.figures.workers[key].completion_tokens = 100;
  }
  const auto report = ToReport("nodes/local", snapshot);
  EXPECT_EQ(report.workers(0).figures().completion_tokens_total(), 100);
  EXPECT_FALSE(report.workers(1).has_figures());
  EXPECT_EQ(report.workers(1).pid(), 7);
}

TEST(process::WorkerSocket, IsTheSameForTheSameWorkerAndGoesWithIt) {
  const TempDir dir;
  ASSERT_TRUE(process::PrepareRunDir(dir / "run"));
  std::string target;
  {
    const auto socket = process::WorkerSocket::Listen(dir / "run", "pool/" + std::string(64, 'a'));
    ASSERT_TRUE(socket) << socket.error().message;
    target = socket->target();
    EXPECT_TRUE(std::filesystem::is_socket(target.substr(5)));
    EXPECT_EQ(std::filesystem::path(target.substr(5)).parent_path(), dir / "run");
    EXPECT_NE(process::WorkerSocket::Listen(dir / "run", "another")->target(), target);
  }
  EXPECT_FALSE(std::filesystem::exists(target.substr(5)));
  EXPECT_EQ(process::WorkerSocket::Listen(dir / "run", "pool/" + std::string(64, 'a'))->target(), target);
  const auto too_long = process::WorkerSocket::Listen(dir / std::string(200, 'x'), "a");
  ASSERT_FALSE(too_long);
  EXPECT_EQ(too_long.error().reason, "CANNOT_LISTEN");
}

TEST(process::WorkerSocket, OnesThatAKilledAgentLeftAreRemovedAndNothingElse) {
  const TempDir dir;
  {
    auto socket = process::WorkerSocket::Listen(dir.path(), "a");
    ASSERT_TRUE(socket);
    dir.Write("w-notes.sock", "no socket");
    ASSERT_TRUE(process::PrepareRunDir(dir.path()));
    EXPECT_FALSE(std::filesystem::exists(socket->target().substr(5)));
  }
  EXPECT_TRUE(std::filesystem::exists(dir / "w-notes.sock"));  // no socket, whatever its name
  const auto file = dir.Write("file", "");
  EXPECT_EQ(process::PrepareRunDir(file).error().reason, "NO_RUN_DIR");
}

TEST(JobLine, IsProgressAResultAnErrorOrRefused) {
  const auto progress = jobs::ParseJobLine(R"({"phase":"measuring","progress":0.5})");
  ASSERT_TRUE(progress);
  EXPECT_EQ(std::get<jobs::JobProgress>(*progress).phase, "measuring");
  const auto result = jobs::ParseJobLine(R"({"result":{"architecture":"llama","quality":{"perplexity":4.5}}})");
  ASSERT_TRUE(result);
  catalog::v1::InspectResult inspect;
  ASSERT_TRUE(jobs::FillInspectResult(std::get<jobs::JobResult>(*result).json, inspect));
  EXPECT_EQ(inspect.quality().perplexity(), 4.5);
  const auto error =
      jobs::ParseJobLine(R"({"error":{"code":"INVALID_ARGUMENT","reason":"GGUF_BAD_MAGIC","message":"m"}})");
  ASSERT_TRUE(error);
  EXPECT_EQ(std::get<Error>(*error).code, Code::kInvalidArgument);
  for (const char* line : {"", "hello", "[]", R"({"phase":1,"progress":0})", R"({"error":{"code":"X"}})", "{}"}) {
    EXPECT_FALSE(jobs::ParseJobLine(line)) << line;
  }
  EXPECT_EQ(jobs::FillInspectResult(R"({"no_such_field":1})", inspect).error().reason, "BAD_JOB_RESULT");
}

TEST(jobs::ReportPace, TellsChangesFourTimesASecondAndOtherwiseThriceALease) {
  const jobs::ReportPace::Time start{std::chrono::seconds(10)};
  jobs::ReportPace pace(milliseconds(9000), start);
  EXPECT_FALSE(pace.Due({"a", 0.1}, start + milliseconds(249)));
  EXPECT_TRUE(pace.Due({"a", 0.1}, start + milliseconds(250)));
  EXPECT_FALSE(pace.Due({"a", 0.1}, start + milliseconds(3249)));
  EXPECT_TRUE(pace.Due({"a", 0.1}, start + milliseconds(3250)));
  pace.Succeeded(start + milliseconds(3250));
  EXPECT_FALSE(pace.Expired(start + milliseconds(12'249)));
  EXPECT_TRUE(pace.Expired(start + milliseconds(12'250)));
}

Result<std::string> RunShell(const std::string& script, std::vector<jobs::JobProgress>* told = nullptr,
                             const Status& answer = {}) {
  jobs::ReportPace pace(milliseconds(1000), std::chrono::steady_clock::now());
  return jobs::RunJobProcess({"/bin/sh", "-c", script}, nullptr, pace,
                             [&](const jobs::JobProgress& p) {
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
  std::vector<jobs::JobProgress> told;
  const auto r = RunShell(R"(echo '{"phase":"x","progress":0.5}'; exec sleep 60)", &told,
                          Fail(Code::kAborted, "LEASE_LOST", "gone"));
  EXPECT_EQ(r.error().reason, "LEASE_LOST");
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].phase, "x");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
}

pool::ProcessExit WaitFor(process::ChildProcess& child) {
  pollfd fd{child.exit_fd(), POLLIN, 0};
  EXPECT_EQ(poll(&fd, 1, 30'000), 1);
  const auto exit = child.TryReap();
  EXPECT_TRUE(exit);
  return exit.value_or(pool::ProcessExit{});
}

TEST(process::ChildProcess, ReportsHowItEnded) {
  auto exits = process::ChildProcess::Start({.command = {"/bin/sh", "-c", "exit 7"}});
  ASSERT_TRUE(exits);
  EXPECT_EQ(WaitFor(*exits).status, 7);
  auto killed = process::ChildProcess::Start({.command = {"/bin/sh", "-c", "exec sleep 60"}});
  ASSERT_TRUE(killed);
  EXPECT_FALSE(killed->TryReap());
  killed->Signal(SIGTERM);
  EXPECT_EQ(WaitFor(*killed).signal, SIGTERM);
}

TEST(process::ChildProcess, SaysSoWhenTheProgramCannotBeExecuted) {
  auto child = process::ChildProcess::Start({.command = {"/no/such/program"}});
  ASSERT_TRUE(child);
  EXPECT_EQ(WaitFor(*child).status, 127);
  const auto lines = child->ReadStderr();
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NE(lines[0].find("/no/such/program"), std::string::npos);
}

TEST(process::ChildProcess, InheritsNoDescriptorsAndNoBlockedSignals) {
  const OwnedFd leaked(dup(2));  // without close-on-exec
  auto child = process::ChildProcess::Start(
      {.command = {"/bin/sh", "-c", "ls /proc/self/fd | wc -l; grep SigBlk /proc/self/status"},
       .capture_stdout = true});
  ASSERT_TRUE(child);
  WaitFor(*child);
  const auto lines = child->ReadStdout();
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_LE(std::stoi(lines[0]), 4);  // 0, 1, 2 and the directory itself
  EXPECT_EQ(lines[1], "SigBlk:\t0000000000000000");
}

TEST(process::ChildProcess, GetsWhatItShallInheritFromThreeOnAndNothingElse) {
  int pipe_ends[2];
  ASSERT_EQ(pipe2(pipe_ends, O_CLOEXEC), 0);
  const OwnedFd read_end(pipe_ends[0]);
  const OwnedFd write_end(pipe_ends[1]);
  const OwnedFd file(open("/bin/sh", O_RDONLY | O_CLOEXEC));
  auto child = process::ChildProcess::Start(
      {.command = {"/bin/sh", "-c",
                   "readlink /proc/$$/fd/3; echo hello >&4; "
                   "for fd in 5 6 7 8 9 63 64 65 66; do [ -e /proc/self/fd/$fd ] && echo $fd; done; echo end"},
       .inherit = {file.get(), write_end.get()},
       .capture_stdout = true});
  ASSERT_TRUE(child);
  EXPECT_EQ(WaitFor(*child).status, 0);
  const auto lines = child->ReadStdout();
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0], std::filesystem::canonical("/bin/sh"));
  EXPECT_EQ(lines[1], "end");
  char text[6] = {};
  EXPECT_EQ(read(read_end.get(), text, 6), 6);
  EXPECT_EQ(std::string(text, 5), "hello");
  EXPECT_FALSE(process::ChildProcess::Start({.command = {"/bin/true"}, .inherit = std::vector<int>(9, 0)}));
}

TEST(process::LineReader, BoundsLinesAndJoinsPieces) {
  process::LineReader reader(4);
  EXPECT_EQ(reader.Feed("ab"), std::vector<std::string>{});
  EXPECT_EQ(reader.Feed("c\n1234567\nx"), (std::vector<std::string>{"abc", "1234"}));
  EXPECT_EQ(reader.Finish(), "x");
  EXPECT_EQ(reader.Finish(), std::nullopt);
}

}  // namespace
}  // namespace allod::inference::node
