// allod-compress: one job over one foreign model file, in a process that may die of it. See job.h for what it does and
// job_output.h for what it prints.
//
// Exit status: 0 the last line is the result; 3 it is the error; 2 wrong usage. Anything else, a signal included, is a
// crash.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>
#include <system_error>
#include <thread>

#include "inference/compress/confine.h"
#include "inference/compress/job.h"
#include "inference/compress/job_output.h"
#include "services/common/log.h"

namespace {

using allod::inference::compress::JobOptions;

constexpr int kExitError = 3;

allod::Result<nlohmann::json> Run(bool compress, const JobOptions& options, bool die_with_parent,
                                  allod::inference::compress::JobOutput& out) {
  namespace job = allod::inference::compress;
  std::error_code error;
  const auto bytes = std::filesystem::file_size(options.input, error);
  if (error) return allod::NotFound("the input file cannot be read: " + error.message());
  job::ConfineLimits limits = job::LimitsForJob(bytes);
  limits.die_with_parent = die_with_parent;
  ALLOD_CHECK_OK(job::ConfineProcess(limits));
  return compress ? job::Compress(options, out) : job::Inspect(options, out);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Inspects or compresses one model file and measures the result. Prints JSON lines.", "allod-compress");
  app.set_version_flag("--version", "0.1.0");
  JobOptions options;
  options.threads = std::max(1U, std::thread::hardware_concurrency());
  bool die_with_parent = false;
  const auto add_common = [&](CLI::App* sub) {
    sub->add_option("--input", options.input, "GGUF file")->required();
    sub->add_option("--evaluation-text", options.evaluation_text, "UTF-8 text that quality is measured on")->required();
    sub->add_option("--threads", options.threads, "Threads to compute with")->check(CLI::Range(1, 256));
    sub->add_flag("--die-with-parent", die_with_parent, "Be killed when the parent process dies");
  };
  app.require_subcommand(1);
  CLI::App* inspect = app.add_subcommand("inspect", "Validate a model and measure it");
  add_common(inspect);
  inspect->add_option("--output", options.output, "File for the canonical form, unless the input is canonical itself");
  CLI::App* compress = app.add_subcommand("compress", "Write a compressed copy and measure the loss");
  add_common(compress);
  compress->add_option("--output", options.output, "File to write")->required();
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
    result = Run(compress->parsed(), options, die_with_parent, out);
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
