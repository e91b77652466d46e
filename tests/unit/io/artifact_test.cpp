#include "io/artifact.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "io/seal.h"
#include "support/bytes.h"
#include "support/expect_error.h"
#include "support/scratch.h"

namespace cachectl::io {
namespace {

CommonOptions options() {
  CommonOptions common;
  common.tool = "cachectl-test";
  common.effective_config = "a: 1\n";
  return common;
}

Provenance write_profile(const std::string& path, const CommonOptions& common, float value = 1) {
  ArtifactWriter writer(path, "profile", common);
  writer.root().write<float>("x", {value, 2});
  writer.add_input("backbone", outside_input("backbone", "abc123", "resnet.pt"));
  return writer.commit();
}

TEST(Artifact, TellsHowItWasMadeBackToTheBackbone) {
  const Scratch scratch;
  write_profile(scratch.path("p.h5"), options());
  const ArtifactReader profile(scratch.path("p.h5"), "profile");
  ArtifactWriter writer(scratch.path("m.h5"), "medial", options());
  writer.add_input("profile", profile.provenance());
  writer.commit();
  const ArtifactReader medial(scratch.path("m.h5"), "medial");
  ASSERT_NE(medial.provenance().find("backbone"), nullptr);
  EXPECT_EQ(medial.provenance().find("backbone")->content_hash, "abc123");
  EXPECT_EQ(medial.provenance().inputs.at("profile").content_hash,
            profile.provenance().content_hash);
}

TEST(Artifact, IsByteEqualForEqualContentsWithoutProvenance) {
  const Scratch scratch;
  CommonOptions common = options();
  common.no_provenance = true;
  common.command = "one";
  write_profile(scratch.path("a.h5"), common);
  common.command = "two";
  write_profile(scratch.path("b.h5"), common);
  EXPECT_EQ(bytes_of(scratch.path("a.h5")), bytes_of(scratch.path("b.h5")));
}

// A command may hold any bytes.
TEST(Artifact, IsReadWhateverItsCommandWas) {
  const Scratch scratch;
  CommonOptions common = options();
  common.command = "tool --out r\xe9sultat.h5";
  const Provenance written = write_profile(scratch.path("p.h5"), common);
  const Provenance read = ArtifactReader(scratch.path("p.h5"), "profile").provenance();
  EXPECT_EQ(read.command, written.command);
  EXPECT_EQ(read.command, "tool --out r\xef\xbf\xbdsultat.h5");
}

TEST(Artifact, HashesContentsAndNotTheDate) {
  const Scratch scratch;
  CommonOptions common = options();
  const auto first = write_profile(scratch.path("a.h5"), common);
  common.command = "another command";
  EXPECT_EQ(write_profile(scratch.path("b.h5"), common).content_hash, first.content_hash);
  EXPECT_NE(write_profile(scratch.path("c.h5"), common, 1.5).content_hash, first.content_hash);
}

TEST(Artifact, LeavesTheOldFileWhenItsWriterGivesUp) {
  const Scratch scratch;
  const auto path = scratch.path("a.h5");
  write_profile(path, options());
  const auto before = bytes_of(path);
  {
    ArtifactWriter writer(path, "profile", options());
    writer.root().write<float>("x", {9});
  }
  EXPECT_EQ(bytes_of(path), before);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(scratch.folder()), {}), 1);
}

TEST(Artifact, ClearsAwayWhatAKilledWriterLeft) {
  const Scratch scratch;
  const auto path = scratch.path("a.h5");
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ::waitpid(child, nullptr, 0);
  write_bytes(scratch.path(".a.h5.tmp-" + std::to_string(child)), "half a file");
  write_bytes(scratch.path(".a.h5.tmp-" + std::to_string(::getppid())), "of one that lives");
  write_bytes(scratch.path(".b.h5.tmp-" + std::to_string(child)), "of another file");
  write_profile(path, options());
  EXPECT_FALSE(std::filesystem::exists(scratch.path(".a.h5.tmp-" + std::to_string(child))));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(scratch.folder()), {}), 3);
}

TEST(Artifact, RefusesAnotherKindAndAnotherVersion) {
  const Scratch scratch;
  const auto path = scratch.path("a.h5");
  write_profile(path, options());
  expect_error([&] { ArtifactReader(path, "plan"); }, ExitCode::kIncompatible,
               "is a profile file (what each layer of a backbone costs), expected a plan file");
  {
    File file = File::open_to_write(path);
    file.root().set("format_version", std::int64_t{99});
    file.close();
  }
  seal(path);
  expect_error([&] { ArtifactReader(path, "profile"); }, ExitCode::kIncompatible, "version 99");
}

TEST(Artifact, RefusesForeignFilesAndContradictions) {
  const Scratch scratch;
  const auto path = scratch.path("a.h5");
  File::create(path).close();
  expect_error([&] { ArtifactReader(path, "plan"); }, ExitCode::kCorrupt, "was never finished");
  seal(path);
  expect_error([&] { ArtifactReader(path, "plan"); }, ExitCode::kCorrupt, "not one of cachectl's");
  write_profile(path, options());
  {
    File file = File::open_to_write(path);
    file.root().set("content_hash", "0");
    file.close();
  }
  seal(path);
  expect_error([&] { ArtifactReader(path, "profile"); }, ExitCode::kCorrupt, "contradict");
}

TEST(Artifact, FindsAFlippedValueByItsHash) {
  const Scratch scratch;
  const auto path = scratch.path("a.h5");
  const auto made = write_profile(path, options());
  {
    File file = File::open_to_write(path);
    const float other = 3;
    file.root().dataset("x").write_rows(1, 1, &other);
    file.close();
  }
  expect_error([&] { verify_contents(File::open(path).root(), made.content_hash); },
               ExitCode::kCorrupt, "differ from the recorded content hash");
}

TEST(Artifact, NamesBothSidesWhenInputsDiffer) {
  Provenance a = provenance_of("profile", options()), b = provenance_of("medial", options());
  a.inputs["backbone"] = outside_input("backbone", "aaaa", "");
  b.inputs["backbone"] = outside_input("backbone", "bbbb", "");
  expect_error([&] { require_same_input("backbone", "p.h5", a, "m.h5", b); },
               ExitCode::kIncompatible, "p.h5 and m.h5 do not belong together");
}

TEST(Artifact, ChecksTheOutputBeforeTheWork) {
  const Scratch scratch;
  std::ofstream(scratch.path("a.h5")) << "x";
  expect_error([&] { require_writable(scratch.path("a.h5"), false); }, ExitCode::kCannotOpen,
               "--force");
  EXPECT_NO_THROW(require_writable(scratch.path("a.h5"), true));
  expect_error([&] { require_writable(scratch.path("no/a.h5"), false); }, ExitCode::kCannotOpen,
               "does not exist");
  expect_error([&] { require_writable(scratch.folder(), true); }, ExitCode::kCannotOpen, "folder");
  const std::filesystem::path folder = scratch.path("tables");
  EXPECT_NO_THROW(require_writable_folder(folder, false));
  std::filesystem::create_directory(folder);
  EXPECT_NO_THROW(require_writable_folder(folder, false));
  std::ofstream(folder / "exits.csv") << "exit";
  expect_error([&] { require_writable_folder(folder, false); }, ExitCode::kCannotOpen, "--force");
  EXPECT_NO_THROW(require_writable_folder(folder, true));
  expect_error([&] { require_writable_folder(folder / "exits.csv", true); }, ExitCode::kCannotOpen,
               "expected a folder");
}

}  // namespace
}  // namespace cachectl::io
