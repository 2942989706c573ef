#include "inference/zygote/worker_spec.h"

namespace allod::inference::zygote {

using nlohmann::json;
namespace {

constexpr std::size_t kRefusedMax = 256;
constexpr std::size_t kNameBytesMax = 256;
constexpr std::size_t kWhyBytesMax = 128;

}  // namespace

json ToJson(const std::vector<ports::Member>& members) {
  json out = json::array();
  for (const ports::Member& m : members) {
    out.push_back({{"instance", m.instance},
                   {"tenant_uid", m.tenant_uid},
                   {"context_tokens", m.context_tokens},
                   {"max_concurrency", m.max_concurrency},
                   {"weight", m.weight}});
  }
  return out;
}

json ToJson(const std::vector<ports::RefusedMember>& refused) {
  json out = json::array();
  for (const ports::RefusedMember& r : refused) {
    if (out.size() >= kRefusedMax) break;  // the agent tells no more members than that
    out.push_back({{"instance", r.instance.substr(0, kNameBytesMax)}, {"why", r.why.substr(0, kWhyBytesMax)}});
  }
  return out;
}

std::vector<ports::RefusedMember> RefusedFrom(const json& body) {
  std::vector<ports::RefusedMember> out;
  const auto refused = body.find("refused");
  if (refused == body.end() || !refused->is_array()) return out;
  for (const json& one : *refused) {
    if (out.size() >= kRefusedMax) break;
    if (!one.is_object()) continue;
    const auto instance = one.find("instance");
    const auto why = one.find("why");
    if (instance == one.end() || !instance->is_string() || why == one.end() || !why->is_string()) continue;
    out.push_back(
        {instance->get<std::string>().substr(0, kNameBytesMax), why->get<std::string>().substr(0, kWhyBytesMax)});
  }
  return out;
}

json ToJson(const WorkerSpec& s) {
  return {{"id", s.id},
          {"artifact_sha256", s.artifact_sha256},
          {"context_tokens", s.context_tokens},
          {"max_sequences", s.max_sequences},
          {"kv_tokens", s.kv_tokens},
          {"threads", s.threads},
          {"chunk_tokens_max", s.chunk_tokens_max},
          {"strict", s.strict},
          {"is_spare", s.is_spare}};
}

Result<std::vector<ports::Member>> MembersFrom(const json& in) {
  std::vector<ports::Member> out;
  try {
    for (const json& m : in) {
      out.push_back({.instance = m.at("instance").get<std::string>(),
                     .tenant_uid = m.at("tenant_uid").get<std::string>(),
                     .context_tokens = m.at("context_tokens").get<std::int32_t>(),
                     .max_concurrency = m.at("max_concurrency").get<std::int32_t>(),
                     .weight = m.at("weight").get<double>()});
    }
  } catch (const json::exception& e) {
    return InvalidArgument("BAD_MESSAGE", std::string("members: ") + e.what());
  }
  return out;
}

Result<WorkerSpec> WorkerSpecFrom(const json& in) {
  WorkerSpec out;
  try {
    out.id = in.at("id").get<std::uint64_t>();
    out.artifact_sha256 = in.at("artifact_sha256").get<std::string>();
    out.context_tokens = in.at("context_tokens").get<std::int32_t>();
    out.max_sequences = in.at("max_sequences").get<std::int32_t>();
    out.kv_tokens = in.at("kv_tokens").get<std::int32_t>();
    out.threads = in.at("threads").get<std::int32_t>();
    out.chunk_tokens_max = in.at("chunk_tokens_max").get<std::int32_t>();
    out.strict = in.at("strict").get<bool>();
    out.is_spare = in.at("is_spare").get<bool>();
  } catch (const json::exception& e) {
    return InvalidArgument("BAD_MESSAGE", std::string("worker: ") + e.what());
  }
  return out;
}

json AssignMessage(const Assignment& assignment) {
  return {{"type", "assign"}, {"members", ToJson(assignment.members)}};
}

Result<Assigned> AwaitAssignment(Channel& control) {
  ALLOD_TRY(auto received, control.Receive());
  Message& message = *received;
  if (message.type() == "stop") return Fail(Code::kUnavailable, "CHANNEL_CLOSED", "nobody wants this worker");
  if (message.type() != "assign" || message.fds.size() != kAssignmentFds) {
    return InvalidArgument("BAD_MESSAGE", "the agent said something else before it assigned the worker");
  }
  Assigned out;
  ALLOD_TRY(out.assignment.members, MembersFrom(message.body.value("members", json::array())));
  out.fds = std::move(message.fds);
  return out;
}

}  // namespace allod::inference::zygote
