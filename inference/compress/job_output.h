// What a job process tells its node agent: JSON lines on a stream, flushed one by one.
//
//   {"layers":["user_namespace",...]}            what confines the process; before it reads the file
//   {"phase":"quantising","progress":0.42}       progress is 0 to 1 over the whole job and never falls
//   {"result":{...}}                             InspectResult or CompressResult in proto3 JSON; the last line
//   {"error":{"code":"INVALID_ARGUMENT","reason":"...","message":"..."}}   instead of it
//
// Thread-safe: llama.cpp may log from a thread of its own. A reader that went away is not an error here; the process
// then dies with its parent.
#pragma once

#include <cstdio>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "services/common/result.h"

namespace allod::inference::compress {

class JobOutput {
 public:
  explicit JobOutput(std::FILE* out) : out_(out) {}

  void Layers(const std::vector<std::string>& layers);
  // `share` of `phase`, which spans [begin, end] of the job. Changes under one percent of the job are not written.
  void Progress(const std::string& phase, double begin, double end, double share);
  void Finish(const nlohmann::json& result);
  void Finish(const Error& error);

 private:
  void Write(const nlohmann::json& line);

  std::mutex mutex_;
  std::FILE* const out_;
  std::string phase_;
  double progress_ = -1;
};

}  // namespace allod::inference::compress
