// allod-compress: one job over one foreign model file, in a process that may die of it. See job.h for what it does,
// confine.h for what it cannot do and job_output.h for what it prints.
//
// Started by the node agent, with these descriptors; those from 4 on may be given by hand, too:
//
//   allod-compress compress --type Q4_K_M 4<model.gguf 5<text 6<>output 7<>scratch
//
//   3 channel to the agent   4 model   5 evaluation text   6 output   7 scratch (of compress)
//
// Exit status: 0 the last line is the result; 3 it is the error; 2 wrong usage. Anything else, a signal included, is a
// crash.

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>
#include <thread>

#include "inference/compress/confine.h"
#include "inference/compress/job.h"
#include "inference/compress/job_output.h"
#include "inference/model/llama_runtime.h"
#include "services/common/log.h"

namespace {

using allod::inference::compress::ConfineOptions;
using allod::inference::compress::JobOptions;

constexpr int kExitError = 3;
constexpr int kChannelFd = 3;
constexpr int kInputFd = 4;
constexpr int kTextFd = 5;
constexpr int kOutputFd = 6;
constexpr int kScratchFd = 7;

int IfOpen(int fd) { return fcntl(fd, F_GETFD) >= 0 ? fd : -1; }

// By hand there may be anything, or nothing, at its number.
allod::OwnedFd TakeChannel() {
  int type = 0;
  socklen_t bytes = sizeof(type);
  if (getsockopt(kChannelFd, SOL_SOCKET, SO_TYPE, &type, &bytes) != 0 || type != SOCK_SEQPACKET) return {};
  fcntl(kChannelFd, F_SETFD, FD_CLOEXEC);
  return allod::OwnedFd(kChannelFd);
}

allod::Result<nlohmann::json> Run(bool compress, JobOptions options, ConfineOptions confine,
                                  allod::inference::compress::JobOutput& out) {
  namespace job = allod::inference::compress;
  options.input = IfOpen(kInputFd);
  options.evaluation_text = IfOpen(kTextFd);
  options.output = IfOpen(kOutputFd);
  options.scratch = IfOpen(kScratchFd);
  struct stat input {};
  if (options.input < 0 || fstat(options.input, &input) != 0) {
    return allod::NotFound("there is no model file at descriptor 4");
  }
  if (compress && (options.output < 0 || options.scratch < 0)) {
    return allod::InvalidArgument("NO_OUTPUT", "compress needs an output at descriptor 6 and a scratch file at 7");
  }
  options.processor = job::ProcessorName();
  // While there is a file system: this loads the libraries of the processor's backend.
  ALLOD_CHECK_OK(allod::inference::model::InitLlama());
  confine.limits = job::LimitsForJob(static_cast<std::uint64_t>(input.st_size), options.threads);
  confine.files = {{options.input}, {options.scratch, true}};
  allod::inference::zygote::Channel agent(TakeChannel());
  ALLOD_TRY(const auto layers, job::EnterJobSandbox(agent, confine));
  out.Layers(layers.names());
  return compress ? job::Compress(options, out) : job::Inspect(options, out);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Inspects or compresses one model file and measures the result. Prints JSON lines.", "allod-compress");
  app.set_version_flag("--version", "0.1.0");
  app.footer(
      "Files are descriptors: 4 the GGUF file, 5 the UTF-8 text that quality is measured on, 6 the output, 7 a "
      "scratch file of compress.");
  JobOptions options;
  ConfineOptions confine;
  options.threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  const auto add_common = [&](CLI::App* sub) {
    sub->add_option("--threads", options.threads, "Threads to compute with")->check(CLI::Range(1, 256));
    sub->add_flag("--die-with-parent", confine.die_with_parent, "Be killed when the parent process dies");
    sub->add_flag("--strict", confine.strict, "Refuse to work in an incomplete sandbox");
  };
  app.require_subcommand(1);
  CLI::App* inspect = app.add_subcommand("inspect", "Validate a model, write its canonical form, measure it");
  add_common(inspect);
  CLI::App* compress = app.add_subcommand("compress", "Write a compressed copy and measure the loss");
  add_common(compress);
  compress->add_option("--type", options.type, "Q8_0, Q6_K, Q5_K_M, Q4_K_M, Q4_0, Q3_K_M, Q2_K or IQ4_NL")->required();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }

  allod::InitLog("compress");
  allod::inference::compress::JobOutput out(stdout);
  allod::Result<nlohmann::json> result = allod::Internal("no result");
  try {
    result = Run(compress->parsed(), options, confine, out);
  } catch (const std::bad_alloc&) {
    result = allod::Fail(allod::Code::kResourceExhausted, "OUT_OF_MEMORY",
                         "the model needs more memory than the job may use");
  }
  if (!result) {
    out.Finish(result.error());
    return kExitError;
  }
  out.Finish(*result);
  return 0;
}
