// The two jobs a node does for the catalog: inspect an imported model file, compress one and measure the loss.
//
// Files come and go as descriptors: the process is confined before it reads a foreign byte (confine.h) and can open
// nothing else. Both jobs work on the canonical form of the file (gguf/rewrite.h), a copy in memory where the file
// itself is not canonical: llama.cpp never parses a header that was not written here. Then they read every weight once
// and refuse values that are no numbers. What is published is canonical, too. The answers are InspectResult and
// CompressResult of proto/allod/catalog/v1/job.proto in proto3 JSON. Run in a process of its own (allod-compress): a
// file that defeats all checks takes down only that.
//
// Errors: those of gguf::ValidateGguf, ValidateTensorData, LoadModel, Quantize, CheckGenerative and MeasureQuality;
// FAILED_PRECONDITION / EVALUATION_TEXT_UNREADABLE; INVALID_ARGUMENT / OUTPUT_IS_INPUT, CHAT_TEMPLATE_UNUSABLE.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "inference/compress/job_output.h"
#include "services/common/result.h"

namespace allod::inference::compress {

struct JobOptions {
  int input = -1;  // for reading; stays the caller's, as all of them
  // For reading and writing. Of Compress: the file to write. Of Inspect: where the canonical form goes if the input is
  // not canonical itself; may be missing (-1).
  int output = -1;
  int scratch = -1;  // of Compress: what llama.cpp writes before it is made canonical
  std::string type;  // of Compress, e.g. "Q4_K_M"
  int evaluation_text = -1;
  int threads = 1;
  std::string processor = "unknown";  // what figures were measured on; ProcessorName()
};

// Of this machine; needs /proc.
std::string ProcessorName();

// With an output, the result also has `artifact_sha256` and `artifact_bytes` of the canonical form: the output's, or,
// where that stayed empty, the input's. Whatever fails, the output is empty.
Result<nlohmann::json> Inspect(const JobOptions& options, JobOutput& out);
// Whatever fails, the output is empty.
Result<nlohmann::json> Compress(const JobOptions& options, JobOutput& out);

}  // namespace allod::inference::compress
