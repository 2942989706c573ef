#include "cli/supervisor/layout.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "cli/supervisor/processes.h"
#include "services/common/digest.h"

namespace allod::cli::supervisor {
namespace {

using installation::StateDir;

// Modes and owners as the header shows them, or the caller's alone.
struct Shape {
  const ServiceUsers& users;

  mode_t Mode(mode_t mode) const { return users.separate() ? mode : mode & 0700; }
  Owner Of(const std::string& process, gid_t group) const {
    const auto user = users.Of(process);
    return user ? Owner{user->uid, group} : Owner{};
  }
  Owner Root(gid_t group = 0) const { return users.separate() ? Owner{0, group} : Owner{}; }
};

// What PostgreSQL's user had for its own until now is root's, with two directories below it that are PostgreSQL's.
Status MakePostgres(const Directory& root, const Shape& shape) {
  const auto user = shape.users.Of("postgres");
  const std::vector<uid_t> former = user ? std::vector<uid_t>{user->uid} : std::vector<uid_t>{};
  ALLOD_TRY(const Directory postgres, root.Make("postgres", shape.Mode(0711), shape.Root(), former));
  // From here on nobody else can exchange a name in it. An installation that was made before the marker of a finished
  // initdb lay beside it is taken over; only root can have made the old one.
  if (postgres.HasFileOf("initialised", geteuid())) {
    if (!root.Has("postgres.initialised")) ALLOD_CHECK_OK(root.Write("postgres.initialised", "1\n", 0600));
    ALLOD_CHECK_OK(postgres.Remove("initialised"));
  }
  ALLOD_CHECK_OK(postgres.RemoveTree("tmp"));
  const gid_t group = user ? user->gid : 0;
  // Not made before initdb wants it; then it must be empty.
  ALLOD_CHECK_OK(postgres.Make("data", 0700, shape.Of("postgres", group)));
  ALLOD_CHECK_OK(postgres.Make("run", shape.Mode(02710), shape.Of("postgres", shape.users.ClientsOf("postgres"))));
  return {};
}

// Files that were root's follow their directory to its new owner; once that is done nothing in it is touched any more.
Status MakeAndAdopt(const Directory& root, const std::string& name, const Owner& owner, mode_t mode, mode_t file_mode) {
  if (root.Has(name)) {
    ALLOD_TRY(const Directory there, root.OpenChild(name));
    const bool ours = there.owner() == geteuid();
    const bool changes = (owner.uid != Owner::kSame && owner.uid != there.owner()) ||
                         (owner.gid != static_cast<gid_t>(Owner::kSame) && owner.gid != there.group());
    if (ours && changes) ALLOD_CHECK_OK(there.HandOverFiles(owner, file_mode));
  }
  ALLOD_CHECK_OK(root.Make(name, mode, owner));
  return {};
}

Status MakeArtifacts(const Directory& root, const Shape& shape) {
  const Owner shared = shape.Root(shape.users.artifacts());
  ALLOD_CHECK_OK(MakeAndAdopt(root, "artifacts", shared, shape.Mode(03770), shape.Mode(0640)));
  ALLOD_TRY(const Directory artifacts, root.OpenChild("artifacts"));
  ALLOD_CHECK_OK(artifacts.Make("incoming", shape.Mode(03770), shared));
  return {};
}

// Those that are missing, and the directory itself.
Status MakeParents(const std::filesystem::path& path, mode_t mode) {
  std::filesystem::path at;
  for (const auto& part : path) {
    at /= part;
    if (mkdir(at.c_str(), 0700) == 0) {
      ALLOD_TRY(const Directory made, Directory::Open(at));
      ALLOD_CHECK_OK(made.HandOver({}, mode));
    } else if (errno != EEXIST) {
      return FailedPrecondition("STATE_NOT_WRITABLE",
                                fmt::format("cannot make {}: {}", at.string(), std::strerror(errno)));
    }
  }
  return {};
}

}  // namespace

Status MakeRoot(const StateDir& state) {
  const std::filesystem::path& path = state.root();
  ALLOD_CHECK_OK(MakeParents(path, geteuid() == 0 ? 0711 : 0700));
  ALLOD_CHECK_OK(ResolveTrusted(path));
  ALLOD_TRY(const Directory root, Directory::Open(path));
  if (root.owner() == geteuid()) return {};
  return FailedPrecondition("UNSAFE_PATH",
                            fmt::format("{} belongs to uid {}, and `allod up` runs as uid {}: run it as that user, or "
                                        "give another --state DIR",
                                        path.string(), root.owner(), geteuid()));
}

Status MakeLayout(const StateDir& state, const ServiceUsers& users) {
  const Shape shape{users};
  ALLOD_CHECK_OK(MakeRoot(state));
  ALLOD_TRY(const Directory root, Directory::Open(state.root()));
  ALLOD_CHECK_OK(root.HandOver({}, shape.Mode(0711)));
  for (const char* name : {"config", "secrets"}) ALLOD_CHECK_OK(root.Make(name, shape.Mode(0711), shape.Root()));
  for (const char* name : {"keys", "usage", "logs"}) ALLOD_CHECK_OK(root.Make(name, 0700, shape.Root()));
  ALLOD_TRY(const Directory run, root.Make("run", shape.Mode(0711), shape.Root()));
  for (const std::string& service : GrpcServers()) {
    ALLOD_CHECK_OK(run.Make(service, shape.Mode(02710), shape.Of(service, users.ClientsOf(service))));
    // Where the socket of an older version lay.
    ALLOD_CHECK_OK(run.Remove(service + ".sock"));
  }
  ALLOD_CHECK_OK(run.Make("workers", shape.Mode(02710), shape.Root(users.ClientsOf("workers"))));
  // The operators' address stays what it was, wherever the gateway may make its socket.
  ALLOD_CHECK_OK(run.Remove("grpc.sock"));
  if (symlinkat("gateway/grpc.sock", run.fd(), "grpc.sock") != 0) {
    return FailedPrecondition("STATE_NOT_WRITABLE",
                              fmt::format("cannot make {}/grpc.sock: {}", run.path().string(), std::strerror(errno)));
  }
  const auto gateway = users.Of("gateway");
  ALLOD_CHECK_OK(MakeAndAdopt(root, "journal", shape.Of("gateway", gateway ? gateway->gid : 0), 0700, 0600));
  ALLOD_CHECK_OK(MakeArtifacts(root, shape));
  ALLOD_CHECK_OK(MakePostgres(root, shape));
  // Before it had a user of its own it was PostgreSQL's. Nothing in it lasts.
  const auto postgres = users.Of("postgres");
  ALLOD_CHECK_OK(root.Make("redis", shape.Mode(02710), shape.Of("redis", users.ClientsOf("redis")),
                           postgres ? std::vector<uid_t>{postgres->uid} : std::vector<uid_t>{}));
  return {};
}

Status WritePrivate(const StateDir& state, const std::string& directory, const std::string& name,
                    const std::string& content, const ServiceUsers& users, const std::string& reader) {
  ALLOD_TRY(const Directory root, Directory::Open(state.root()));
  ALLOD_TRY(const Directory into, root.OpenChild(directory));
  const auto user = reader.empty() ? std::nullopt : users.Of(reader);
  if (!user || user->uid == 0) return into.Write(name, content, 0600);
  return into.Write(name, content, 0640, {0, user->gid});
}

Status EnsureSecret(const StateDir& state, const ServiceUsers& users, const std::string& name, gid_t group) {
  ALLOD_TRY(const Directory root, Directory::Open(state.root()));
  ALLOD_TRY(const Directory secrets, root.OpenChild("secrets"));
  const bool shared = users.separate() && group != 0;
  const Owner owner = shared ? Owner{0, group} : Owner{};
  const mode_t mode = shared ? 0640 : 0600;
  if (secrets.Has(name)) return secrets.SetFile(name, mode, owner);
  std::array<std::uint8_t, 32> raw{};
  FillRandom(raw);
  return secrets.Write(name, ToHex(raw) + "\n", mode, owner);
}

}  // namespace allod::cli::supervisor
