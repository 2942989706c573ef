// `allod prove billing`: whether this installation counts money as docs/billing-contract.md says, tried on it.

#include <fmt/format.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/commands/commands.h"
#include "cli/commands/prove_ledger.h"
#include "cli/commands/prove_report.h"
#include "cli/commands/prove_streams.h"
#include "cli/commands/prove_trial.h"
#include "cli/installation/files.h"
#include "cli/terminal/confirm.h"
#include "cli/terminal/print.h"
#include "cli/terminal/progress.h"
#include "services/common/ids.h"

namespace allod::cli::commands {
namespace {

using installation::StateDir;

struct ProveOptions {
  std::string instance;
  std::string key_file;
  int streams = 40;
  bool kill = false;
  bool yes = false;
};

// The process of that name, which the supervisor starts again. Nothing when it is not up.
std::optional<pid_t> PidOf(const StateDir& state, const std::string& name) {
  const auto status = installation::ReadJson(state.status());
  if (!status || !status->contains("processes")) return std::nullopt;
  for (const auto& process : (*status)["processes"]) {
    if (process.value("name", "") != name || !process.value("running", false)) continue;
    const auto pid = process.value("pid", 0);
    if (pid > 1) return pid;
  }
  return std::nullopt;
}

// The streams that are to be asked: of the instance that was named, else of the trial's; nothing: there is none.
Result<std::optional<StreamsToProve>> StreamsOf(const StateDir& state, const Trial& trial,
                                                const ProveOptions& options) {
  ALLOD_TRY(const std::string base, state.HttpBase());
  if (options.instance.empty()) {
    if (trial.instance.empty()) return std::optional<StreamsToProve>();
    return StreamsToProve{base, trial.instance, trial.api_key, options.streams};
  }
  ALLOD_TRY(const auto ids, MatchName("instance", options.instance, "tenants/*/projects/*/instances/*"));
  ALLOD_TRY(const std::string key,
            installation::ReadSecret(options.key_file.empty() ? state.key(ids[0], ids[1])
                                                              : std::filesystem::path(options.key_file)));
  return StreamsToProve{base, options.instance, key, options.streams};
}

// Shows how far it is, and takes the time.
void Add(std::vector<Proof>& proofs, const std::string& phase,
         const std::function<Proof(const ProofProgress&)>& prove) {
  terminal::Progress progress(phase);
  const auto start = std::chrono::steady_clock::now();
  Proof proof = prove([&](double fraction) { progress.Show("trying", fraction); });
  proof.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  progress.Finish(proof.verdict == Proof::Verdict::kPass ? "holds" : proof.measured);
  proofs.push_back(std::move(proof));
}

Result<std::vector<Proof>> ProveAll(const StateDir& state, const Trial& trial, const ProveOptions& options) {
  const net::Services services(state);
  std::vector<Proof> proofs;
  Add(proofs, "replays", [&](const auto& progress) { return ProveReplays(services, trial, nullptr, progress); });
  if (options.kill) {
    bool killed = false;
    const auto kill_billing = [&] {
      const auto pid = PidOf(state, "billing");
      killed = pid && ::kill(*pid, SIGKILL) == 0;
    };
    Add(proofs, "replays, billing killed", [&](const auto& progress) {
      const Proof proof = ProveReplays(services, trial, kill_billing, progress);
      if (killed || proof.verdict == Proof::Verdict::kFail) return proof;
      return Skipped(proof.what, proof.figure, "billing is not to be killed from here: it runs as somebody else's");
    });
  }
  Add(proofs, "overspend", [&](const auto& progress) { return ProveNoOverspend(services, trial, progress); });
  Add(proofs, "holds", [&](const auto&) { return ProveNothingHeld(services, trial); });
  ALLOD_CHECK_OK(SetTrialLimit(services, trial, "1000"));
  ALLOD_TRY(const auto streams, StreamsOf(state, trial, options));
  Add(proofs, "streams", [&](const auto& progress) {
    if (streams) return ProveStreams(services, *streams, progress);
    return Skipped("streams, some cut by their client", "billed = delivered; each recorded",
                   trial.no_instance + "; name one with --instance");
  });
  Add(proofs, "draft", [&](const auto&) { return ProveDraft(services, trial); });
  Add(proofs, "documents", [&](const auto& progress) { return ProveDocuments(services, progress); });
  Add(proofs, "ledger", [&](const auto&) { return ProveLedger(services); });
  return proofs;
}

Status ProveBilling(const Globals& globals, const ProveOptions& options) {
  ALLOD_TRY(const auto state, FindInstallation(globals));
  std::string plan = "This " + WhatATrialMakes();
  if (!options.instance.empty()) {
    plan += fmt::format(". {} streams of {} are asked for and billed to {}", options.streams, options.instance,
                        TenantOf(options.instance));
  }
  if (options.kill) plan += ". Billing is killed once (kill -9); the supervisor starts it again";
  ALLOD_CHECK_OK(terminal::Confirm(plan, options.yes));
  const net::Services services(state);
  ALLOD_TRY(const Trial trial, MakeTrial(services));
  const Result<std::vector<Proof>> proofs = ProveAll(state, trial, options);
  const Status ended = EndTrial(services, trial);
  if (!proofs) return std::unexpected(proofs.error());
  terminal::Print(globals.json() ? ProofJson(*proofs) : ProofTable(*proofs));
  if (!ended) {
    return Fail(ended.error().code, ended.error().reason,
                fmt::format("{} is left: {}; delete it with `allod tenants delete {}`", trial.tenant,
                            ended.error().message, trial.tenant));
  }
  return JudgeProofs(*proofs);
}

}  // namespace

void AddProve(CLI::App& app, Globals& globals) {
  CLI::App* prove = app.add_subcommand("prove", "Try on this installation whether it keeps its promises");
  prove->require_subcommand(1);
  const auto [command, options] = AddCommand<ProveOptions>(
      *prove, globals, "billing",
      "Money: replays, overspend, cut streams, drafts, invoices and the ledger, as a table; fails if anything does not "
      "hold. Safe while others use the installation: it works in a tenant of its own",
      &ProveBilling);
  command->add_option("--instance", options->instance,
                      "Ask streams of this instance, and bill them to its tenant (default: one of the tenant that it "
                      "makes)");
  command->add_option("--key-file", options->key_file,
                      "API key for --instance (default: keys/TENANT-PROJECT.key in the state directory)");
  command->add_option("--streams", options->streams, "How many streams (default: 40)")->check(CLI::Range(4, 2000));
  command->add_flag("--kill", options->kill, "Also kill billing in the midst of it; `allod up` starts it again");
  command->add_flag("--yes", options->yes, "Do not ask");
}

}  // namespace allod::cli::commands
