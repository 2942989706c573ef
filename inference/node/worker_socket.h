// Where a worker listens, and whether it answers there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>

#include "inference/node/worker_set.h"
#include "services/common/result.h"
#include "services/common/rpc/caller.h"

namespace allod::inference::node {

// sun_path holds 107 bytes; the rest is "/w-<12 hex>-<10 digits>.sock".
inline constexpr std::size_t kRunDirBytesMax = 107 - 31;

// Unique for a replica and a start: a route that is out of date leads to nobody, never to another instance. Takes the
// last twelve hex digits of the uid, which are random (the first of a UUIDv7 are the time, alike for replicas of one
// minute).
std::filesystem::path WorkerSocket(const std::filesystem::path& run_dir, const DesiredWorker& worker,
                                   std::int32_t start_number);

// Makes the directory, for this user only, and removes the sockets that an agent before this one left.
Status PrepareRunDir(const std::filesystem::path& run_dir);

// Whether the worker accepts connections and says that it serves this instance with this artifact. Blocks at most 500
// ms, and only once something listens; else it returns at once.
bool WorkerAnswers(const std::filesystem::path& socket, const DesiredWorker& worker, const Caller& caller);

}  // namespace allod::inference::node
