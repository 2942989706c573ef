#include "cli/supervisor/node_settings.h"

#include <fmt/format.h>

namespace allod::cli::supervisor {
namespace {

using nlohmann::json;
using Pointer = json::json_pointer;

constexpr std::int64_t kWeek = 7 * 24 * 3600;
constexpr std::int64_t kContextDefault = 4096;  // as inference/node/config.h has it

}  // namespace

std::span<const NodeSetting> NodeSettings() {
  static const std::vector<NodeSetting> settings = {
      {.flag = "--sandbox",
       .field = "/sandbox",
       .help =
           "auto: the layers that this host allows; strict: refuse to run workers without all of them (default: auto)",
       .words = {"auto", "strict"}},
      {"--memory-mib", "/memory_bytes", "Memory that models and workers may use, in MiB (default: the machine's)", 64,
       1 << 30, 1 << 20},
      {"--cpu-millis", "/cpu_millis", "Thousandths of cores to hand out (default, and 0: the machine's)", 0, 1'024'000},
      {"--gate-cores", "/gate/cores", "How many cores compute at the same time (default, and 0: all)", 0, 1024},
      {"--gate-turn-ms", "/gate/turn_ms_max", "Longest turn of a worker when others wait (default: 25)", 1, 10'000},
      {"--gate-chunk-tokens", "/gate/chunk_tokens_max",
       "Most prompt tokens in one turn (default, and 0: as the turn allows)", 0, 8192},
      {"--zygote-idle-seconds", "/zygote_idle_seconds",
       "How long a model stays in memory when no worker needs it (default: 600)", 0, kWeek},
      {"--spare-worker-seconds", "/spare_worker_seconds",
       "How long after the last start of an isolated instance its model has a spare worker (default: 600; 0: never)", 0,
       kWeek},
      {"--pool-sequences", "/pool/sequences",
       "Requests at once of the worker that pooled instances share (default: 16)", 1, 64},
      {"--pool-context-tokens", "/pool/context_tokens", "Context of each of these requests (default: 4096)", 16,
       1'048'576},
      {"--pool-kv-tokens", "/pool/kv_tokens", "KV cache that they share (default: four contexts)", 16, 1 << 24},
      {"--first-uid", "/first_uid",
       "As root: the first of the users of jobs and workers (default: 1879048192): 1024 for jobs, 1024 for each model",
       1000, 4'000'000'000},
  };
  return settings;
}

Result<json> MergeNodeSettings(const json& last, const GivenNodeSettings& given) {
  json out = json::object();
  for (const NodeSetting& setting : NodeSettings()) {
    const Pointer field(setting.field);
    if (const auto now = given.find(setting.field); now != given.end()) {
      out[field] = now->second;
    } else if (last.contains(field)) {
      out[field] = last[field];
    }
  }
  const Pointer kv("/pool/kv_tokens");
  const Pointer context("/pool/context_tokens");
  if (out.contains(kv) && out[kv].is_number_integer()) {
    const json each = out.value(context, json(kContextDefault));
    if (each.is_number_integer() && out[kv] < each) {
      return InvalidArgument("INVALID_SETTING", fmt::format("--pool-kv-tokens is {}, but one request may have {} "
                                                            "(--pool-context-tokens): give at least that many",
                                                            out[kv].dump(), each.dump()));
    }
  }
  return out;
}

json PoolForPlanner(const json& settings) {
  json out = settings.value("pool", json::object());
  if (out.is_object()) out.erase("kv_tokens");
  return out;
}

}  // namespace allod::cli::supervisor
