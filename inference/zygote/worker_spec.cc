#include "inference/zygote/worker_spec.h"

namespace allod::inference::zygote {

using nlohmann::json;

json ToJson(const std::vector<Member>& members) {
  json out = json::array();
  for (const Member& m : members) {
    out.push_back({{"instance", m.instance},
                   {"tenant_uid", m.tenant_uid},
                   {"context_tokens", m.context_tokens},
                   {"max_concurrency", m.max_concurrency},
                   {"weight", m.weight}});
  }
  return out;
}

json ToJson(const WorkerSpec& s) {
  return {{"id", s.id},
          {"artifact_sha256", s.artifact_sha256},
          {"members", ToJson(s.members)},
          {"context_tokens", s.context_tokens},
          {"max_sequences", s.max_sequences},
          {"kv_tokens", s.kv_tokens},
          {"threads", s.threads},
          {"chunk_tokens_max", s.chunk_tokens_max},
          {"strict", s.strict}};
}

Result<std::vector<Member>> MembersFrom(const json& in) {
  std::vector<Member> out;
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
    ALLOD_TRY(out.members, MembersFrom(in.at("members")));
  } catch (const json::exception& e) {
    return InvalidArgument("BAD_MESSAGE", std::string("worker: ") + e.what());
  }
  return out;
}

}  // namespace allod::inference::zygote
