import Diagnostics

extension ImageStore {
    /// Fetches the present lists of an image's release, and builds the image again where these have other versions of its
    /// packages. Returns whether it did. An image that is not built is only built. Throws as `image(named:progress:)` does.
    package func update(_ name: String, progress: @escaping ImageProgress) async throws -> Bool {
        guard let image = catalog[name] else { throw catalog.unknown(name) }
        var isChanged = false
        for (number, recipe) in image.recipes.enumerated() {
            let packages = packages(of: recipe)
            // The parts of an image are of one release, or their lists are fetched for each.
            if number == 0 || recipe.release != image.recipes[0].release {
                try await packages.apt.prepare(refreshing: true, progress: progress)
            }
            let present = Set(try await packages.resolve(recipe.packages).all)
            guard let built = manifest(of: recipe), Set(built.packages) != present else { continue }
            _ = try await build(recipe, again: true, progress)
            isChanged = true
        }
        _ = try await self.image(image, progress: progress)
        return isChanged
    }
}
