#include "cli/commands/prove_streams.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <thread>

#include "allod/billing/v1/computed_usage.grpc.pb.h"
#include "allod/billing/v1/usage.grpc.pb.h"
#include "cli/kinds/calls.h"
#include "cli/net/http_client.h"
#include "cli/net/pages.h"
#include "cli/net/sse.h"
#include "services/common/ids.h"

namespace allod::cli::commands {
namespace {

namespace billing_v1 = allod::billing::v1;
using nlohmann::json;

constexpr int kClients = 4;
constexpr int kTokensMax = 60;
constexpr int kCutAfterMax = 20;
constexpr std::chrono::seconds kSettledWithin{30};
constexpr int kStreamRecordsMax = 10'000;

struct Stream {
  int cut_after = 0;  // events with text; 0: read to its end
  int events = 0;     // with text, that came; each has one token at least
  std::string request_id;
  std::optional<std::int64_t> told;  // completion tokens, by the last event
  bool done = false;
  std::string error;
};

// False: the client leaves here.
bool Take(const std::string& event, Stream& stream) {
  if (event == "[DONE]") {
    stream.done = true;
    return true;
  }
  const json chunk = json::parse(event, nullptr, false);
  if (!chunk.is_object()) return true;
  if (chunk.contains("error")) stream.error = chunk["error"].dump();
  if (stream.request_id.empty() && chunk.contains("id") && chunk["id"].is_string()) {
    const auto id = chunk["id"].get<std::string>();
    std::string hex = id.substr(id.rfind('-') + 1);
    for (const std::size_t at : {8, 13, 18, 23}) {
      if (hex.size() > at) hex.insert(at, 1, '-');
    }
    stream.request_id = hex;
  }
  if (chunk.contains("usage") && chunk["usage"].is_object()) {
    stream.told = chunk["usage"].value("completion_tokens", std::int64_t{-1});
  }
  if (!chunk.contains("choices") || chunk["choices"].empty()) return true;
  const json delta = chunk["choices"][0].value("delta", json::object());
  if (!delta.is_object() || !delta.contains("content") || !delta["content"].is_string()) return true;
  if (!delta["content"].get<std::string>().empty()) ++stream.events;
  return stream.cut_after == 0 || stream.events < stream.cut_after;
}

void Run(const StreamsToProve& streams, Stream& stream) {
  const json body = {{"model", kinds::LastSegment(streams.instance)},
                     {"messages", json::array({{{"role", "user"}, {"content", "How do I get a passport?"}}})},
                     {"stream", true},
                     {"stream_options", {{"include_usage", true}}},
                     {"max_completion_tokens", kTokensMax}};
  net::SseReader reader;
  const auto fetched = net::Fetch({.method = "POST",
                                   .url = streams.base_url + "/v1/chat/completions",
                                   .bearer = streams.api_key,
                                   .json = body.dump(),
                                   .timeout_s = 60,
                                   .on_data = [&](std::string_view bytes) {
                                     for (const auto& event : reader.Feed(bytes)) {
                                       if (!Take(event, stream)) return false;
                                     }
                                     return true;
                                   }});
  if (fetched && fetched->status != 200) stream.error = fetched->body;
}

using Records = std::map<std::string, billing_v1::UsageRecord>;

Result<Records> RecordsOf(const net::Services& services, const std::string& instance) {
  billing_v1::ListUsageRecordsRequest request;
  request.set_parent(TenantOf(instance));
  request.set_instance(instance);
  using Usage = billing_v1::UsageService;
  ALLOD_TRY(const net::Listed listed,
            net::List<Usage>(services, &Usage::Stub::ListUsageRecords, request, kStreamRecordsMax));
  Records out;
  for (const auto& one : listed.items) {
    const auto& record = dynamic_cast<const billing_v1::UsageRecord&>(*one);
    out[kinds::LastSegment(record.name())] = record;
  }
  return out;
}

// Tokens that nodes sampled, by request.
Result<std::map<std::string, std::int64_t>> SampledOf(const net::Services& services, const std::string& instance) {
  billing_v1::ListComputedUsageRequest request;
  request.set_parent(TenantOf(instance));
  request.set_instance(instance);
  using Computed = billing_v1::ComputedUsageService;
  ALLOD_TRY(const net::Listed listed,
            net::List<Computed>(services, &Computed::Stub::ListComputedUsage, request, kStreamRecordsMax));
  std::map<std::string, std::int64_t> out;
  for (const auto& one : listed.items) {
    const auto& event = dynamic_cast<const billing_v1::ComputedUsage&>(*one);
    out[event.request_id()] += event.sampled_tokens();
  }
  return out;
}

// What is wrong with it; empty: nothing.
std::string FaultOf(const Stream& stream, const Records& records, const std::map<std::string, std::int64_t>& sampled) {
  const auto record = records.find(stream.request_id);
  if (record == records.end()) return stream.request_id + " is not recorded";
  const bool billed = record->second.cost().amount() != "0";
  const std::int64_t tokens = record->second.completion_tokens();
  if (stream.done) {
    if (stream.told == tokens && billed) return "";
    return fmt::format("{}: {} tokens recorded, the client was told {}", stream.request_id, tokens,
                       stream.told.value_or(-1));
  }
  if (!stream.error.empty()) return billed ? stream.request_id + ": it ended with an error event, and is billed" : "";
  if (!billed && stream.events > 0) return stream.request_id + ": not billed, and something came";
  if (tokens < stream.events) {
    return fmt::format("{}: {} tokens recorded, {} came", stream.request_id, tokens, stream.events);
  }
  const auto computed = sampled.find(stream.request_id);
  if (computed == sampled.end() || tokens <= computed->second) return "";
  return fmt::format("{}: {} tokens recorded, {} computed", stream.request_id, tokens, computed->second);
}

// Until all are recorded, and what nodes computed is told.
Result<std::pair<Records, std::map<std::string, std::int64_t>>> AwaitSettled(const net::Services& services,
                                                                             const StreamsToProve& streams,
                                                                             const std::vector<Stream>& all) {
  const auto end = std::chrono::steady_clock::now() + kSettledWithin;
  while (true) {
    ALLOD_TRY(const Records records, RecordsOf(services, streams.instance));
    ALLOD_TRY(const auto sampled, SampledOf(services, streams.instance));
    const bool complete = std::ranges::all_of(all, [&](const Stream& one) {
      return one.request_id.empty() || (records.contains(one.request_id) && sampled.contains(one.request_id));
    });
    if (complete || std::chrono::steady_clock::now() > end) return std::pair(records, sampled);
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

}  // namespace

Proof ProveStreams(const net::Services& services, const StreamsToProve& streams, const ProofProgress& progress) {
  const std::string what = "streams, some cut by their client";
  const std::string figure = "billed = delivered; each recorded";
  std::vector<Stream> all(static_cast<std::size_t>(streams.count));
  std::mt19937 random(std::random_device{}());
  // At once or later; a fast model has few events.
  for (Stream& one : all) {
    one.cut_after = random() % 2 == 0 ? 0 : random() % 2 == 0 ? 1 : static_cast<int>(1 + random() % kCutAfterMax);
  }
  std::atomic<std::size_t> next = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([&] {
      for (std::size_t at = next++; at < all.size(); at = next++) Run(streams, all[at]);
    });
  }
  while (next < all.size()) {
    progress(static_cast<double>(next) / static_cast<double>(all.size()));
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  for (std::thread& client : clients) client.join();
  const auto answered = [](const Stream& one) { return !one.request_id.empty(); };
  const auto begun = std::ranges::count_if(all, answered);
  if (begun == 0) {
    return Failed(what, figure, {Code::kUnavailable, "NO_ANSWER", "no stream began: " + all.front().error});
  }
  const auto settled = AwaitSettled(services, streams, all);
  if (!settled) return Failed(what, figure, settled.error());
  std::int64_t tokens = 0;
  std::int64_t ended = 0;
  for (const Stream& one : all) {
    if (!answered(one)) continue;
    if (const std::string fault = FaultOf(one, settled->first, settled->second); !fault.empty()) {
      return Proven(what, figure, false, fault);
    }
    tokens += settled->first.at(one.request_id).completion_tokens();
    ended += one.done ? 1 : 0;
  }
  return Proven(what, figure, true,
                fmt::format("{} whole: difference 0; {} cut: what came or was on its way; {} tokens", ended,
                            begun - ended, tokens));
}

}  // namespace allod::cli::commands
