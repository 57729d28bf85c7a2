import KVM
import Testing

@Suite("The sandbox's requests of KVM")
struct RunTimeRequestsTests {
    @Test("Their numbers are those of the kernel's header, as a C program prints them")
    func numbers() {
        let header: [UInt32] = [
            0xae80, 0x8090_ae81, 0x4090_ae82, 0x8138_ae83, 0x4138_ae84, 0xc008_ae88, 0x4008_ae89, 0x81a0_ae8c,
            0x41a0_ae8d, 0x8400_ae8e, 0x4400_ae8f, 0xc008_ae91, 0x8004_ae98, 0x4004_ae99, 0xae9a, 0x8040_ae9f,
            0x4040_aea0, 0x8080_aea1, 0x4080_aea2, 0xaea2, 0xaea3, 0x9000_aea4, 0x5000_aea5, 0x9000_aecf, 0x8188_aea6,
            0x4188_aea7, 0xaead, 0x4018_aee1, 0x4018_aee2, 0x4008_ae61, 0xc008_ae67, 0xc208_ae62, 0x8208_ae63,
            0x4020_ae76, 0x4040_ae79, 0x4020_aea5, 0x4030_ae7b, 0x8030_ae7c, 0x8070_ae9f, 0x4070_aea0, 0x4010_ae42,
            0x4010_ae67, 0x4010_ae68,
        ]
        #expect(RunTimeRequests.all == header)
    }
}
